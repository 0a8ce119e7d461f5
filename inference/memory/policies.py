"""What a memory bank keeps and what it forgets: the thesis's three banks. Storage is `bank.py`'s business.

A policy answers: is this frame to be stored (`admit`), what does a read say about the entries (`use`), how much is
an entry worth (`score`; the lowest leave first, older write first among equals, then raster order), and which
entries may never leave (`protected`). Other policies lie beside this file; docs/MEMORY.md shows how to add one.
"""

from enum import Enum
from typing import ClassVar

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
    """Stores every memory frame; where a capacity is given, the oldest write leaves first.

    `class Mine(Policy, name="mine")` is all it takes for `--memory mine` to exist. What a policy remembers of a video
    lies in plain attributes that `reset` sets.
    """

    registry: ClassVar[dict[str, type["Policy"]]] = {}
    temporary_frames = False                 # whether the frames between two memory frames are held as temporary ones
    default_frames: int | None = None        # capacity where none is asked for; None: unbounded

    def __init_subclass__(cls, name: str = "", **more: object) -> None:
        super().__init_subclass__(**more)
        if name:
            Policy.registry[name] = cls

    def __init__(self, protect_first: bool = False, index: str = "topk", seed: int = 0) -> None:
        self.protect_first, self.index, self.seed = protect_first, index, seed
        self.reset()

    def reset(self) -> None:
        """Forget the video."""

    def admit(self, due: bool, annotated: bool, entries: Entries | None, key: Tensor) -> Admission:
        """What becomes of the current frame, of key [HW, C_k].

        `due`: at least `memory_every` frames have passed since the last write. `annotated` frames are always to be
        stored (docs/METHOD.md). `entries`: None while the bank is empty.
        """
        if due or annotated:
            return Admission.STORE
        return Admission.TEMPORARY if self.temporary_frames else Admission.SKIP

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        """Video frame `now` has read the bank: `matches` are its top-k over all visible rows."""

    def score(self, entries: Entries, now: int) -> Tensor:
        """Worth of each stored entry, [held]; the lowest leave first."""
        return entries.written.double()

    def protected(self, entries: Entries) -> Tensor:
        """Entries that leave only after all others, [held] bool."""
        return (entries.written == entries.first_write) & self.protect_first

    def merge(self, entries: Entries, key: Tensor, values: Tensor) -> Tensor | None:
        """Work a new frame's key [HW, C_k] and values [objects, HW, C_v] into entries held.

        Returns which of its cells are still to be stored, [HW] bool; None: all of them.
        """
        return None

    def evict(self, entries: Entries, needed: int, now: int) -> Tensor:
        """Rows of the `needed` entries that leave, before another frame is written over them."""
        order = entries.order()
        scores = self.score(entries, now).masked_fill(self.protected(entries), torch.inf)
        return order[scores[order].argsort(stable=True)[:needed]]


class EveryK(Policy, name="every_k"):
    """Keep everything (STM, STCN). Grows without bound unless a capacity is given."""


class FirstAndLatest(Policy, name="first_and_latest"):
    """Annotated frames for good, and the previous frame until the next (STM's bounded variant)."""

    temporary_frames = True

    def admit(self, due: bool, annotated: bool, entries: Entries | None, key: Tensor) -> Admission:
        return Admission.STORE if annotated else Admission.TEMPORARY


class LeastFrequentlyUsed(Policy, name="lfu"):
    """The thesis's bank (section 3.3.4): forget the entries with the lowest usage index over age.

    Usage index: the number of query cells, over all frames read, whose top-k held the entry (`index="topk"`), or the
    sum of its softmax weights there (`index="softmax"`, table 4), or the sum over frames of log(1 + that number)
    (`index="log"`, Liang et al. 2020). Age: video frames since it was written.
    """

    default_frames = 2

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        amounts = matches.weights if self.index == "softmax" else torch.ones_like(matches.weights)
        entries.use(matches.indices, amounts, log=self.index == "log")

    def score(self, entries: Entries, now: int) -> Tensor:
        age = (now - entries.written).clamp(min=1)
        return entries.usage / age
