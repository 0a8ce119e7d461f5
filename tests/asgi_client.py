"""A client that calls an ASGI application directly: with any headers, paths and bodies, and for endless answers."""

import asyncio
import json
import threading
import time
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json()["error"]


class Client:
    """Runs the application's event loop in a thread. Requests come from the page, if no header says otherwise."""

    def __init__(self, application, token, host="127.0.0.1:8000"):
        self.application, self.token, self.host = application, token, host
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._messages = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(60)
        return self

    def __exit__(self, *_):
        async def stop():
            self._messages.put_nowait({"type": "lifespan.shutdown"})
            await asyncio.wait_for(self._lifespan, 60)
        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def __call__(self, method, path, body=b"", path_prefix=None, tab="aa", json=None, chunks=None, **headers) -> Answer:
        """path: below the token. chunks: a body of unknown length, in parts."""
        prefix = f"/{self.token}/" if path_prefix is None else path_prefix
        content = _dump(json) if json is not None else body
        fields = {"host": self.host, "x-tab": tab} | {name.replace("_", "-"): value for name, value in headers.items()}
        if chunks is None and "content-length" not in fields:
            fields["content-length"] = str(len(content))
        parts = iter([content] if chunks is None else chunks)
        run = self._request(method, prefix + path, fields, parts)
        return asyncio.run_coroutine_threadsafe(run, self.loop).result(120)

    def listen(self, tab):
        """Open the events of a tab; returns (list of the parts that came, a function that closes them)."""
        parts, gone, begun = [], asyncio.Event(), threading.Event()

        async def receive():
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            parts.append(message.get("body", b""))
            if message.get("body"):
                begun.set()

        scope = self._scope("GET", f"/{self.token}/api/events?tab={tab}", {"host": self.host})
        running = asyncio.run_coroutine_threadsafe(self.application(scope, receive, send), self.loop)
        assert begun.wait(60)

        def close():
            self.loop.call_soon_threadsafe(gone.set)
            running.result(60)
        return parts, close

    async def _start(self):
        messages, started = asyncio.Queue(), asyncio.Event()
        messages.put_nowait({"type": "lifespan.startup"})

        async def send(message):
            if message["type"] == "lifespan.startup.complete":
                started.set()
        self._lifespan = asyncio.ensure_future(
            self.application({"type": "lifespan", "asgi": {"version": "3.0"}}, messages.get, send))
        await started.wait()
        return messages

    async def _request(self, method, path, headers, parts):
        head, body, ended = {}, [], False

        async def receive():
            nonlocal ended
            if ended:
                await asyncio.Event().wait()            # the client does not leave
            part = next(parts, None)
            ended = part is None
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def send(message):
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                body.append(message.get("body", b""))
        await self.application(self._scope(method, path, headers), receive, send)
        fields = {name.decode(): value.decode() for name, value in head["headers"]}
        return Answer(head["status"], fields, b"".join(body))

    def _scope(self, method, path, headers):
        path, _, query = path.partition("?")
        return {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 1),
        }


def wait_for(condition, patience=120):
    """Until the condition holds."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _dump(content):
    return json.dumps(content).encode()
