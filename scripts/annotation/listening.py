"""Listening on this machine alone, until Ctrl-C."""

import secrets
import socket
import threading
import webbrowser
from types import FrameType

import uvicorn

from inference.annotation.annotation import Annotation
from inference.annotation.options import AnnotateOptions
from model.errors import ConfigError
from scripts.annotation.events import Hub
from scripts.annotation.server import Server

_HOST = "127.0.0.1"


class _Listener(uvicorn.Server):
    """Ends the events of all tabs when it is stopped, which would otherwise never end."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self.hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.hub.close()
        super().handle_exit(sig, frame)


def serve(annotation: Annotation, hub: Hub, options: AnnotateOptions) -> None:
    """Print the address, open it, and answer until a signal comes.

    Raises ConfigError for a port that is taken.
    """
    with listening(options.port) as sock:
        port = sock.getsockname()[1]
        token = secrets.token_hex(16)
        server = Server(annotation, hub, token, [f"{name}:{port}" for name in (_HOST, "localhost")], options.example)
        config = uvicorn.Config(server.application, log_level="critical", access_log=False, server_header=False,
                                timeout_graceful_shutdown=2, ws="none", proxy_headers=False)
        address = f"http://{_HOST}:{port}/{token}/"
        print(f"annotating {annotation.video.path} in {annotation.project.root}\nopen {address}\nCtrl-C stops; "
              "everything is saved", flush=True)
        if options.browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        _Listener(config, hub).run(sockets=[sock])


def listening(port: int) -> socket.socket:
    """A socket of this machine alone. port: 0 takes a free one. Raises ConfigError for one that is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)      # named: asyncio sets TCP_NODELAY
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((_HOST, port))
        sock.listen(128)              # a browser that opens the address at once waits
    except OSError as error:
        sock.close()
        raise ConfigError(f"--port {port}: expected a free port, found that it cannot be used "
                          f"({error.strerror}); choose another one, or omit --port") from None
    return sock
