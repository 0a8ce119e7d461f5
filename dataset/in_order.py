"""Several threads that read what one thread is too slow for."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def in_order(function: Callable[[S], T], items: Iterable[S], threads: int) -> Generator[T, None, None]:
    """`map(function, items)` by several threads, which compute at most one result each ahead of its use.

    An exception of `function` is raised in the turn of its item. Closing the generator ends the threads.
    """
    coming: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(threads, "in order")
    try:
        for item in items:
            coming.append(pool.submit(function, item))
            if len(coming) > threads:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
