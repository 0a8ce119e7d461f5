"""What one query frame finds in a memory bank, and the readouts made of it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inference.memory.entries import Entries
from model.matching import TopK

EVERY = slice(None)


@dataclass
class Readout:
    """What one query frame reads from the bank."""

    values: Tensor    # [objects, C_v, h, w], objects in order of appearance
    matches: TopK     # over all entries, for every query cell: what usage and telemetry need


@dataclass
class Found:
    """What one query frame finds in the bank, until the next write: the readout of any of its objects."""

    entries: Entries
    of_objects: dict[int, TopK]                        # by the frame of an object's first write
    grid: torch.Size                                   # (h, w) of the query
    gather: Callable[[Tensor, TopK], Tensor]

    @property
    def matches(self) -> TopK:
        """Over all entries."""
        return self.of_objects[self.entries.first_write]

    @property
    def objects(self) -> int:
        return self.entries.objects

    def values(self, objects: slice = EVERY, channels: slice = EVERY) -> Tensor:
        """The readouts [objects, C_v, h, w] of some objects, in order of appearance; of some channels."""
        entries = self.entries
        values = [
            self.gather(entries.values(obj)[:, channels], self.of_objects[entries.since[obj]])
            for obj in range(entries.objects)[objects]
        ]
        return torch.stack(values).transpose(1, 2).unflatten(2, self.grid)
