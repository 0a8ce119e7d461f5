"""States of a pass, kept so that it can continue from the middle of its video."""

from collections.abc import Collection
from typing import Any

from torch import Tensor


class Checkpoints:
    """States of a pass by position: each is the state before the frame at that position was segmented.

    If there are more than `most`, the distance between them is doubled, so that memory stays bounded for a video of any
    length. They lie in the memory of the host. Position 0, the start, needs no checkpoint.

    Args:
        every: distance between two of them, in frames.
    """

    def __init__(self, every: int, most: int) -> None:
        if every < 1 or most < 2:
            raise ValueError(f"checkpoints: expected every >= 1 and most >= 2, found {every} and {most}")
        self.every, self.most = every, most
        self.states: dict[int, Any] = {}

    def wanted(self, position: int) -> bool:
        """Whether the state before `position` is still to be added."""
        return position > 0 and position % self.every == 0 and position not in self.states

    def add(self, position: int, state: object, pinned: Collection[int] = ()) -> None:
        """Keep a state; those at the positions `pinned` stay if others are thinned out."""
        self.states[position] = _on_host(state)
        while len(loose := self.states.keys() - set(pinned)) > self.most:
            self.every *= 2
            for extra in loose:
                if extra % self.every:
                    del self.states[extra]

    def newest(self, position: int) -> int:
        """The last position up to `position` that has a state; 0 is the start."""
        return max((held for held in self.states if held <= position), default=0)

    def drop(self, after: int, last: int) -> None:
        """Forget the states of the positions after `after`, up to `last`."""
        for position in [held for held in self.states if after < held <= last]:
            del self.states[position]


def _on_host(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.cpu()
    if isinstance(state, dict):
        return {key: _on_host(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_host(value) for value in state]
    return state
