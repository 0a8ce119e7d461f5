"""One thread that does everything that needs the session, in order: short tasks, and one long task at a time."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from inference.annotation.errors import Conflict


class Worker:
    """`submit` a short task from any thread; `start` a long one, which calls `between` in between its steps.

    Args:
        failed: called in the thread with each error of a task.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._cancelled = threading.Event()
        self._stopped = False
        self.busy = ""                                   # the name of the long task that runs or waits
        self._thread = threading.Thread(target=self._run, name="annotation", daemon=True)
        self._thread.start()

    def submit(self, task: Callable[[], Any]) -> "Future[Any]":
        """Run a task after those submitted earlier."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(task())
            except Exception as error:
                future.set_exception(error)
                self._failed(error)

        self._tasks.put(run)
        return future

    def start(self, name: str, task: Callable[[], Any]) -> "Future[Any]":
        """Run a long task. Raises Conflict if there is one already."""
        with self._starting:
            if self.busy:
                raise Conflict(f"{name}: expected nothing that runs, found {self.busy}; wait, or cancel it")
            self.busy = name
            self._cancelled.clear()

        def run() -> Any:
            try:
                return task()
            finally:
                self.busy = ""

        return self.submit(run)

    def cancel(self) -> None:
        """The long task ends after its current step."""
        self._cancelled.set()

    def between(self) -> bool:
        """Called in the long task after each step: runs the short tasks that wait; False if it shall end."""
        while not self._tasks.empty():
            if (task := self._tasks.get()) is None:
                self._stopped = True
                break
            task()
        return not self._cancelled.is_set() and not self._stopped

    def stop(self) -> None:
        """End after the current step, and wait for that."""
        self._cancelled.set()
        self._tasks.put(None)
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped and (task := self._tasks.get()) is not None:
            task()
