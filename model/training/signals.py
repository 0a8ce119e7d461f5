"""Clean stops on SIGINT (Ctrl-C) and SIGTERM (job schedulers)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_INTERRUPTS = 2      # Ctrl-Cs that ask for a clean stop


class StopSignals:
    """While active, SIGINT and SIGTERM are only recorded: `received` is the name of the first one.

    Job schedulers and torchrun send SIGTERM more than once, and torchrun passes on a Ctrl-C that the terminal has sent
    already. So every SIGTERM and two SIGINTs only ask for a clean stop; a third Ctrl-C acts as usual.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self.interrupts = 0

    def __enter__(self) -> "StopSignals":
        self.previous: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self.previous:
            signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: object) -> None:
        self.received = self.received or signal.Signals(number).name
        self.interrupts += number == signal.SIGINT
        if self.interrupts == _INTERRUPTS:
            signal.signal(signal.SIGINT, self.previous[signal.SIGINT])


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """While active, SIGTERM raises KeyboardInterrupt, so that `finally` blocks run. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def ignore_stop_signals(_worker: int) -> None:
    """For data loading processes. Ctrl-C and torchrun's SIGTERM reach them too, but the main process decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
