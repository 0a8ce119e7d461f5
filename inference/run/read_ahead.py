"""Reading in a background thread, a few items ahead of their use."""

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Self, TypeVar

T = TypeVar("T")

_ITEM, _END, _ERROR = range(3)


class ReadAhead(Iterator[T]):
    """An iterator over `items`, which a thread reads at most `depth` ahead. Exceptions of `items` are raised here.

    Close it (`contextlib.closing`) so that the thread ends if the iteration does not. A generator is closed then, too.
    """

    def __init__(self, items: Iterable[T], depth: int = 4) -> None:
        self._queue: queue.Queue[tuple[int, Any]] = queue.Queue(depth)
        self._closed = threading.Event()
        threading.Thread(target=self._read, args=(items,), name="read ahead", daemon=True).start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        kind, value = self._queue.get()
        if kind == _ERROR:
            raise value
        if kind == _END:
            raise StopIteration
        item: T = value
        return item

    @property
    def ready(self) -> bool:
        """Whether the next item, or the end, is there already."""
        return not self._queue.empty()

    def close(self) -> None:
        """Stop reading."""
        self._closed.set()

    def _read(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._offer(_ITEM, item):
                    return
            self._offer(_END)
        except BaseException as error:
            self._offer(_ERROR, error)
        finally:
            if isinstance(items, Generator):        # it may have threads of its own
                items.close()

    def _offer(self, kind: int, value: object = None) -> bool:
        """Wait for a place in the queue; False if the iterator was closed."""
        while not self._closed.is_set():
            try:
                self._queue.put((kind, value), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False
