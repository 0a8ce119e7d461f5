"""Reading in a background thread, a few items ahead of their use."""

import threading
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Self, TypeVar

from inference.run.hand_over import HandOver

T = TypeVar("T")

_ITEM, _END, _ERROR = range(3)


class ReadAhead(Iterator[T]):
    """An iterator over `items`, which a thread reads at most `depth` ahead. Exceptions of `items` are raised here.

    Close it (`contextlib.closing`) so that the thread ends if the iteration does not. A generator is closed then, too.
    """

    def __init__(self, items: Iterable[T], depth: int = 4) -> None:
        self._queue: HandOver[tuple[int, Any]] = HandOver(depth)
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
        self._queue.close()

    def _read(self, items: Iterable[T]) -> None:
        try:
            for item in items:
                if not self._queue.put((_ITEM, item)):
                    return
            self._queue.put_last((_END, None))
        except BaseException as error:
            self._queue.put_last((_ERROR, error))
        finally:
            if isinstance(items, Generator):        # it may have threads of its own
                items.close()
