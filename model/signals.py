"""Leaving cleanly when asked to: SIGINT (Ctrl-C) and SIGTERM (job schedulers)."""

import signal


class StopSignals:
    """While active, a first SIGINT or SIGTERM is only noted in `received`; a second one acts as usual."""

    def __init__(self) -> None:
        self.received: str | None = None

    def __enter__(self) -> "StopSignals":
        self.previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self.previous:
            signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: object) -> None:
        self.received = signal.Signals(number).name
        signal.signal(number, self.previous[number])


def ignore_stop_signals(_worker: int) -> None:
    """For worker processes: Ctrl-C and torchrun's SIGTERM reach the whole group; the main process decides."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
