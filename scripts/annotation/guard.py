"""What every request must pass before anything else sees it: only the page that this server delivered is served.

A foreign web page can make a browser send requests to 127.0.0.1. It knows no token; a name of its own that resolves to
127.0.0.1 (DNS rebinding) shows in `Host`, and its own address in `Origin`.
"""

import secrets
import sys
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dataset.files import in_one_line

_LONGEST_PATH = 256             # bytes, with the query
_RATE, _BURST = 300.0, 600.0    # requests a second, and at once
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'; "
                               "base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",       # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class TooLarge(Exception):
    """The body is larger than allowed."""


class Guard:
    """Wraps an application, which sees its paths without the token.

    Args:
        hosts: allowed values of `Host`, such as 127.0.0.1:8000. largest: bytes of a body. clock: seconds.
    """

    def __init__(
        self, application: ASGIApp, token: str, hosts: list[str], largest: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.application, self.token, self.largest = application, token, largest
        self.hosts, self.origins = set(hosts), {f"http://{host}" for host in hosts}
        self._clock, self._left, self._then = clock, _BURST, clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
        elif scope["type"] != "http":                    # no WebSockets
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self._refusal(scope):
            status, words = refusal
            # what remains of a body is not read: the connection ends
            answer = JSONResponse({"error": words}, status, {"Connection": "close"} if status == 413 else None)
            await answer(scope, receive, _with_headers(send))
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(f"/{self.token}")
        inner = dict(scope) | {"path": path, "raw_path": path.encode(), "root_path": ""}
        try:
            await self.application(inner, self._bounded(receive), _with_headers(send))
        except Exception as error:           # it was answered already
            print(f"error: {scope['method']} {path}: {type(error).__name__}: {in_one_line(error)}", file=sys.stderr)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused, by its head alone: (status, one line)."""
        headers, path = Headers(scope=scope), scope["path"]
        if headers.get("host") not in self.hosts or len(headers.getlist("host")) != 1:
            return 403, f"expected the host {sorted(self.hosts)[0]}; open the address that annotate.py printed"
        if "origin" in headers and headers["origin"] not in self.origins:
            return 403, "expected a request of this page, found one of another site"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "expected a request of this page, found one of another site"
        if len(path) + len(scope.get("query_string", b"")) > _LONGEST_PATH:
            return 414, "expected a shorter address"
        token = path[1:].partition("/")[0].encode()
        if not secrets.compare_digest(token, self.token.encode()) or "/" not in path[1:]:
            return 404, "expected the address that annotate.py printed, with its token"
        if not self._allowed():
            return 429, "too many requests; wait a second"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal():
            return 400, "expected a length of the body in bytes"
        if len(length) > 15 or int(length) > self.largest:
            return 413, f"expected at most {self.largest} bytes"
        return None

    def _allowed(self) -> bool:
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._then) * _RATE)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _bounded(self, receive: Receive) -> Receive:
        """Bodies without a stated length are counted."""
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.largest:
                raise TooLarge(f"expected at most {self.largest} bytes")
            return message

        return bounded


def _with_headers(send: Send) -> Send:
    async def added(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return added
