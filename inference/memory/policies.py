"""What a memory bank keeps and what it forgets. One small class a policy; storage is `bank.py`'s business.

A policy answers three questions: is this frame to be stored (`admit`), how much is an entry worth (`score`;
the lowest leave first, older write first among equals, then raster order), and which entries may never leave
(`protected`). `count` says what a read adds to the usage index of the entries it used.
"""

from enum import Enum

import torch
from torch import Tensor

from inference.memory.entries import Entries
from model.matching import TopK


class Admission(Enum):
    """What becomes of a frame: forgotten at once, held until the next write, or stored."""

    SKIP = 0
    TEMPORARY = 1
    STORE = 2


class Policy:
    """Stores every memory frame; where a capacity is given, the oldest write leaves first."""

    temporary_frames = False      # whether the frames between two memory frames are held as temporary ones
    default_frames: int | None = None

    def __init__(self, protect_first: bool = False) -> None:
        self.protect_first = protect_first

    def admit(self, due: bool, annotated: bool) -> Admission:
        """`due`: at least `memory_every` frames have passed since the last write (docs/METHOD.md)."""
        if due or annotated:
            return Admission.STORE
        return Admission.TEMPORARY if self.temporary_frames else Admission.SKIP

    def count(self, matches: TopK) -> Tensor | None:
        """What this read adds to the usage index of `matches.indices` [M, k]; None: usage is not kept."""
        return None

    def score(self, entries: Entries, now: int) -> Tensor:
        """Worth of each entry, [N]; the lowest leave first."""
        return entries.written.double()

    def protected(self, entries: Entries) -> Tensor:
        """Entries that may not leave, [N] bool."""
        return (entries.written == entries.first_write) & self.protect_first


class EveryK(Policy):
    """Keep everything (STM, STCN). Grows without bound unless a capacity is given."""


class FirstAndLatest(Policy):
    """Annotated frames for good, and the previous frame until the next (STM's bounded variant)."""

    temporary_frames = True

    def admit(self, due: bool, annotated: bool) -> Admission:
        return Admission.STORE if annotated else Admission.TEMPORARY


class LeastFrequentlyUsed(Policy):
    """The thesis's bank (section 3.3.4): forget the entries with the lowest usage index over age.

    Usage index: the number of query cells, over all frames read, whose top-k held the entry (`index="topk"`),
    or the sum of its softmax weights there (`index="softmax"`, table 4). Age: video frames since it was written.
    """

    default_frames = 2

    def __init__(self, index: str = "topk", protect_first: bool = False) -> None:
        super().__init__(protect_first)
        self.index = index

    def count(self, matches: TopK) -> Tensor:
        return torch.ones_like(matches.weights) if self.index == "topk" else matches.weights

    def score(self, entries: Entries, now: int) -> Tensor:
        age = (now - entries.written).clamp(min=1)
        return entries.usage / age
