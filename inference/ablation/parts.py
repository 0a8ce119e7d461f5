"""How several processes share an ablation: the sequences, and the settings if there are fewer sequences than processes.

Each group of settings encodes the frames of its sequence anew, so settings are split no more than needed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dataset.folder import FolderSequence
from inference.ablation.settings import name_of
from inference.memory import MemoryOptions
from inference.run.sharding import share


@dataclass(frozen=True)
class Part:
    """Settings that one process runs in lockstep over a sequence."""

    sequence: FolderSequence
    settings: list[MemoryOptions]

    @property
    def name(self) -> str:
        return f"{self.sequence.name} {name_of(self.settings[0])}"

    def __len__(self) -> int:
        """Steps: each setting at each frame."""
        return len(self.sequence) * len(self.settings)


def parts_of(
    sequences: Sequence[FolderSequence], missing: Mapping[str, list[MemoryOptions]], rank: int, count: int
) -> list[Part]:
    """The part of process `rank` of `count`. missing: sequence -> the settings not finished."""
    unfinished = [sequence for sequence in sequences if missing[sequence.name]]
    groups = math.ceil(count / len(unfinished)) if unfinished else 1
    parts = [
        Part(sequence, settings)
        for sequence in unfinished for settings in _split(missing[sequence.name], groups)
    ]
    return share(parts, rank, count)


def _split(settings: list[MemoryOptions], groups: int) -> list[list[MemoryOptions]]:
    """The settings in at most so many groups of nearly one size, none empty."""
    return [group for first in range(groups) if (group := settings[first::groups])]
