"""How several processes share the sequences of an evaluation, or the videos of a folder."""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Sized(Protocol):
    """A video with a name and a number of frames."""

    @property
    def name(self) -> str: ...

    def __len__(self) -> int: ...


S = TypeVar("S", bound=Sized)


def share(sequences: Sequence[S], rank: int, count: int) -> list[S]:
    """The sequences of process `rank` of `count`: the longest first, each to the process with the fewest frames.

    A process alone gets all of them, in the order given.
    """
    if count == 1:
        return list(sequences)
    frames = [0] * count
    mine = []
    for sequence in sorted(sequences, key=lambda s: (-len(s), s.name)):
        receiver = frames.index(min(frames))
        frames[receiver] += len(sequence)
        if receiver == rank:
            mine.append(sequence)
    return mine
