"""The addresses of the page: each request becomes one call of the annotation, in a thread, so that none blocks others.

Below the token: /api/..., the page's files at /static/..., the page itself at /. Answers are JSON, pictures or events;
errors are {"error": "one line"}.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from dataset.files import in_one_line
from inference.annotation.annotation import Annotation
from inference.annotation.errors import Conflict, Missing, Refused
from inference.annotation.export import KINDS
from inference.annotation.grabcut import grab_cut
from inference.annotation.memory import png_of
from inference.annotation.state import StateReader
from inference.commands import USER_ERRORS
from inference.memory import POLICIES
from scripts.annotation import messages
from scripts.annotation.events import Hub
from scripts.annotation.guard import Guard, TooLarge

_PAGE = Path(__file__).parent / "page"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_THREADS = 4
_MOST_WAITING = 64             # calls that wait for a thread; then requests are refused
_OK = {"ok": True}
Handler = Callable[[Request], Awaitable[Response]]


class Server:
    """The application. `application` is what a server such as uvicorn runs."""

    def __init__(self, annotation: Annotation, hub: Hub, token: str, hosts: list[str], example: bool = False) -> None:
        self.annotation, self.hub, self.state = annotation, hub, StateReader(annotation, example)
        self.page = {path.name: path for path in sorted(_PAGE.glob("*.*")) if path.suffix in _TYPES}
        self._pool, self._waiting = ThreadPoolExecutor(_THREADS, "request"), 0
        self._cutting = asyncio.Semaphore(1)
        height, width = annotation.size
        largest = max(messages.JSON_LIMIT, 2 * height * width + 2**16)
        self.application: ASGIApp = Guard(self._starlette(), token, hosts, largest)

    def _starlette(self) -> Starlette:
        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self.hub.start()
            yield
            self._pool.shutdown(cancel_futures=True)

        errors: Any = {HTTPException: _http_error, TooLarge: _too_large,
                       ValueError: _refused, OSError: _refused, Exception: _failed}
        return Starlette(routes=self._routes(), exception_handlers=errors, lifespan=lifespan)

    def _routes(self) -> list[Route]:
        def get(path: str, handler: Handler) -> Route:
            return Route(path, handler, methods=["GET"])

        def change(path: str, handler: Handler, method: str = "POST") -> Route:
            return Route(path, self._by_writer(handler), methods=[method])

        return [
            get("/", self.index), get("/static/{name}", self.static), get("/api/state", self.read_state),
            get("/api/events", self.events), get("/api/frame/{t:int}.jpg", self.frame),
            get("/api/mask/{t:int}.png", self.mask), get("/api/memory/{t:int}", self.memory),
            get("/api/memory/{t:int}/{source:int}.png", self.cells), get("/api/reads/{t:int}", self.reads),
            Route("/api/writer", self.take, methods=["POST"]), change("/api/mask/{t:int}", self.give),
            change("/api/mask/{t:int}", self.take_back, "DELETE"), change("/api/grabcut/{t:int}", self.grabcut),
            change("/api/objects", self.put_object), change("/api/objects/{number:int}", self.remove_object, "DELETE"),
            change("/api/lock/{t:int}", self.lock), change("/api/propagate", self.propagate),
            change("/api/cancel", self.cancel), change("/api/bank", self.bank), change("/api/export", self.export),
        ]

    async def index(self, request: Request) -> Response:
        return self._file("index.html")

    async def static(self, request: Request) -> Response:
        return self._file(request.path_params["name"])

    async def read_state(self, request: Request) -> Response:
        state = await self._call(self.state.read)
        return JSONResponse(state | {"writer": self.hub.is_writer(_tab(request))})

    async def events(self, request: Request) -> Response:
        events = self.hub.listen(messages.tab(request.query_params.get("tab")))
        return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def take(self, request: Request) -> Response:
        self.hub.take(_tab(request))
        return JSONResponse(_OK)

    async def frame(self, request: Request) -> Response:
        frame = self.annotation.check(request.path_params["t"])
        content = await self._call(self.annotation.shown.jpeg, frame)
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    async def mask(self, request: Request) -> Response:
        frame = request.path_params["t"]
        content = await self._call(lambda: png_of(self.annotation.mask(frame)))
        return Response(content, media_type="image/png")

    async def give(self, request: Request) -> Response:
        body, frame = await request.body(), request.path_params["t"]

        def give() -> None:
            self.annotation.give(frame, messages.label_map(body, self.annotation.size))

        await self._call(give)
        return JSONResponse(_OK)

    async def take_back(self, request: Request) -> Response:
        await self._call(self.annotation.take_back, request.path_params["t"])
        return JSONResponse(_OK)

    async def grabcut(self, request: Request) -> Response:
        frame = self.annotation.check(request.path_params["t"])
        hints = messages.hints(messages.json_object(await request.body()))
        async with self._cutting:
            content = await self._call(lambda: png_of(grab_cut(self.annotation.shown.image(frame), hints)))
        return Response(content, media_type="image/png")

    async def put_object(self, request: Request) -> Response:
        message = messages.json_object(await request.body())
        number = messages.whole(message, "number", 1, 254)
        values = {name: message[name] for name in ("name", "color", "visible") if name in message}
        await self._call(lambda: self.annotation.put_object(number or 0, **values))
        return JSONResponse(_OK)

    async def remove_object(self, request: Request) -> Response:
        await self._call(self.annotation.remove_object, request.path_params["number"])
        return JSONResponse(_OK)

    async def lock(self, request: Request) -> Response:
        locked = messages.flag(messages.json_object(await request.body()), "locked")
        await self._call(self.annotation.lock, request.path_params["t"], locked)
        return JSONResponse(_OK)

    async def propagate(self, request: Request) -> Response:
        message = messages.json_object(await request.body())
        direction: Any = messages.text(message, "direction", ["forward", "backward", "both"])
        start = messages.whole(message, "from", 0, len(self.annotation.video.names) - 1)
        await self._call(self.annotation.propagate, direction, start)
        return JSONResponse(_OK, 202)

    async def cancel(self, request: Request) -> Response:
        self.annotation.worker.cancel()
        return JSONResponse(_OK)

    async def bank(self, request: Request) -> Response:
        message = messages.json_object(await request.body())
        if not message.keys() & {"memory", "memory_frames"}:
            raise Refused("bank: expected memory or memory_frames, found neither")
        message = {"memory": self.annotation.engine.board.bank.memory} | message
        memory = messages.text(message, "memory", sorted(POLICIES))
        frames = messages.whole(message, "memory_frames", 1, 10_000, none=True)
        await self._call(self.annotation.set_bank, memory, frames)
        return JSONResponse(_OK)

    async def memory(self, request: Request) -> Response:
        frame = self.annotation.check(request.path_params["t"])
        return JSONResponse(await self._call(self.annotation.panel.held, frame))

    async def cells(self, request: Request) -> Response:
        frame, source = (self.annotation.check(request.path_params[name]) for name in ("t", "source"))
        content = await self._call(lambda: png_of(self.annotation.panel.picture(frame, source)))
        return Response(content, media_type="image/png")

    async def reads(self, request: Request) -> Response:
        frame = self.annotation.check(request.path_params["t"])
        x, y = (messages.number(request.query_params.get(name), name) for name in ("x", "y"))
        return JSONResponse(await self._call(self.annotation.panel.reads, frame, x, y))

    async def export(self, request: Request) -> Response:
        kinds = messages.texts(messages.json_object(await request.body()), "kinds", KINDS)
        future = await self._call(self.annotation.export, kinds)
        return JSONResponse(await asyncio.wrap_future(future))

    def _by_writer(self, handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            self.hub.check(_tab(request))
            return await handler(request)
        return checked

    def _file(self, name: str) -> Response:
        """A file of the page by its fixed name: no path from outside reaches the file system."""
        path = self.page.get(name)
        if path is None:
            raise Missing("expected a file of the page, found no such one")
        return FileResponse(path, media_type=_TYPES[path.suffix])

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a thread. Raises HTTPException 503 if too many calls wait."""
        if self._waiting >= _MOST_WAITING:
            raise HTTPException(503, "the server is busy; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._waiting -= 1


def _tab(request: Request) -> str:
    return messages.tab(request.headers.get("x-tab"))


async def _http_error(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": str(error.detail)}, error.status_code)


async def _too_large(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 413, {"Connection": "close"})


async def _refused(request: Request, error: Exception) -> Response:
    """Errors of the request and of the files; any other ValueError is a defect."""
    if isinstance(error, USER_ERRORS) or type(error).__module__.startswith("inference.annotation"):
        status = 409 if isinstance(error, Conflict) else 404 if isinstance(error, Missing) else 400
        return JSONResponse({"error": in_one_line(error)}, 500 if isinstance(error, OSError) else status)
    return await _failed(request, error)


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"the server failed: {type(error).__name__}"}, 500)
