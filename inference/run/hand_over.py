"""A queue from one thread to another that Ctrl-C cannot break."""

from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class HandOver(Generic[T]):
    """A queue of at most `places` items.

    Ctrl-C reaches the main thread between any two steps of `queue.Queue`, and may leave its lock taken for ever. Here
    each step is one call into a `SimpleQueue`, which is done or not: at worst an item or a place is lost.
    """

    def __init__(self, places: int) -> None:
        self._items: SimpleQueue[T] = SimpleQueue()
        self._places: SimpleQueue[None] = SimpleQueue()
        self._closed = False
        for _ in range(places):
            self._places.put(None)

    def put(self, item: T) -> bool:
        """Wait for a place; False, and the item is dropped, once the queue is closed."""
        self._places.get()
        if self._closed:
            self._places.put(None)          # for the next one who waits
            return False
        self._items.put(item)
        return True

    def put_last(self, item: T) -> None:
        """The last item takes no place, so this never waits."""
        self._items.put(item)

    def get(self) -> T:
        """Wait for the next item."""
        item = self._items.get()
        self._places.put(None)
        return item

    def empty(self) -> bool:
        return self._items.empty()

    def close(self) -> None:
        """End all waiting in `put`."""
        self._closed = True
        self._places.put(None)
