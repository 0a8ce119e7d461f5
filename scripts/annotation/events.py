"""Server-sent events, and which tab may write: the first whose events are open."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from inference.annotation.errors import Conflict

_WAITING = 256         # events that may wait for a tab; then it is told to read the state again instead
_PING = 15.0           # seconds
MOST_TABS = 8


class Hub:
    """The tabs that listen. All methods belong to the event loop, but for `publish`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tabs: dict[object, tuple[str, asyncio.Queue[str | None]]] = {}     # by connection, in order of arrival
        self._writer: str | None = None

    def start(self) -> None:
        """In the event loop, before anything else."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """From any thread: all events end."""
        self._in_loop(self._end)

    def publish(self, name: str, content: Any) -> None:
        """From any thread: send an event to all tabs."""
        self._in_loop(self._send, f"event: {name}\ndata: {json.dumps(content)}\n\n")

    def is_writer(self, tab: str) -> bool:
        """Without any tab that listens, everyone may write."""
        return self._writer is None or self._writer == tab

    def check(self, tab: str) -> None:
        """Raises Conflict for a tab that may not write."""
        if not self.is_writer(tab):
            raise Conflict("another tab has this annotation open for writing; close it, or take over here")

    def take(self, tab: str) -> None:
        """This tab writes from now on."""
        self._writer = tab
        self.publish("state", {})

    def listen(self, tab: str) -> AsyncIterator[str]:
        """The events for a tab, as text of the event stream. Raises Conflict if too many tabs listen."""
        if len(self._tabs) >= MOST_TABS:
            raise Conflict(f"expected at most {MOST_TABS} open tabs; close some")
        return self._listen(tab)

    async def _listen(self, tab: str) -> AsyncIterator[str]:
        connection, waiting = object(), asyncio.Queue[str | None](_WAITING)
        self._tabs[connection] = tab, waiting
        if self._writer is None:
            self._writer = tab
        try:
            yield ": connected\n\n"
            while True:
                try:
                    event = await asyncio.wait_for(waiting.get(), _PING)
                except TimeoutError:
                    event = ": ping\n\n"
                if event is None:
                    return
                yield event
        finally:
            del self._tabs[connection]
            self._elect()

    def _elect(self) -> None:
        """If the writer has gone, the tab that came next writes."""
        tabs = [tab for tab, _ in self._tabs.values()]
        if self._writer not in tabs:
            self._writer = tabs[0] if tabs else None
            self._send("event: state\ndata: {}\n\n")

    def _send(self, event: str) -> None:
        for _, waiting in self._tabs.values():
            if waiting.full():                           # a tab that does not keep up
                while not waiting.empty():
                    waiting.get_nowait()
                waiting.put_nowait("event: state\ndata: {}\n\n")
            waiting.put_nowait(event)

    def _end(self) -> None:
        for _, waiting in self._tabs.values():
            while waiting.full():
                waiting.get_nowait()
            waiting.put_nowait(None)

    def _in_loop(self, function: Any, *arguments: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)
