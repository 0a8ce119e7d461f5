"""What a memory bank keeps and what it forgets: the thesis's three banks. `bank.py` stores the entries.

A policy answers four questions. Is this frame stored (`admit`; `judge` if that depends on its masks)? What does a read
say about the entries (`use`)? How much is an entry worth (`score`: the lowest leave first; equal ones by older write,
then raster order)? Which entries leave last (`protected`)? More policies are in the files beside this one;
docs/MEMORY.md shows how to add another.
"""

from enum import Enum
from typing import ClassVar

import torch
from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.options import POLICIES, MemoryOptions
from inference.quality import FrameQuality
from model.matching import TopK


class Admission(Enum):
    """What happens to a frame: it is skipped, held until the next write, or stored."""

    SKIP = 0
    TEMPORARY = 1
    STORE = 2


class Policy:
    """Stores every memory frame. If there is a capacity, the oldest write leaves first.

    `class Mine(Policy, name="mine")` is enough to make `--memory mine` available. A policy keeps what it remembers of
    a video in plain attributes, which `reset` sets.
    """

    title: ClassVar[str]                     # its name in tables
    default_frames: int | None = None        # capacity if none is given; None: unbounded
    temporary_frames = False                 # whether frames between two memory frames are held as temporary ones
    needs_quality: ClassVar[bool] = False    # whether it is told how good the masks are: `judge`, `entries.quality`
    one_size: ClassVar[bool] = False         # whether all frames must have one size: it compares them cell by cell
    ignores: ClassVar[frozenset[str]] = frozenset({"index", "seed"})    # memory options without effect on this policy
    kept: tuple[int, ...] = ()               # video frames whose entries leave last, besides those protected

    def __init_subclass__(cls, name: str = "", title: str = "", **more: object) -> None:
        super().__init_subclass__(**more)
        cls.title = title or name.replace("_", "-")
        if name:
            POLICIES[name] = cls

    def __init__(self, options: MemoryOptions | None = None) -> None:
        self.options = options or MemoryOptions()
        self.temporary_frames = self.temporary_frames or self.options.include_last
        self.reset()

    @property
    def not_stored(self) -> Admission:
        """What happens to a frame that is not stored."""
        return Admission.TEMPORARY if self.temporary_frames else Admission.SKIP

    @property
    def smallest_capacity(self) -> int:
        """Frames that a capacity must at least allow: one, the temporary one, and the protected one."""
        return 1 + self.temporary_frames + self.options.protect_first

    def reset(self) -> None:
        """Forget the video."""

    def admit(self, due: bool, annotated: bool, entries: Entries | None, key: Tensor) -> Admission:
        """What happens to the current frame, whose key is [HW, C_k].

        due: at least `memory_every` frames have passed since the last write. annotated: such frames are always stored
        (docs/METHOD.md). entries: None while the bank is empty.
        """
        return Admission.STORE if due or annotated else self.not_stored

    def judge(
        self, admission: Admission, annotated: bool, quality: FrameQuality, entries: Entries | None
    ) -> Admission:
        """What happens to the current frame after all: called after `admit`, for every frame, if `needs_quality`.

        admission: what `admit` said. quality: of the frame's masks; that of the frames held is `entries.quality`.
        """
        return admission

    def forget(self, obj: int) -> None:
        """Forget what is remembered of object `obj` beside its entries; the objects after it move up by one."""

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        """Called after video frame `now` has read the bank; `matches` are its top-k over all visible rows."""

    def score(self, entries: Entries, now: int) -> Tensor:
        """Worth of each stored entry, [held]; the lowest leave first."""
        return entries.written.to(entries.usage.dtype)

    def protected(self, entries: Entries) -> Tensor:
        """Entries that leave only after all others, [held] bool."""
        return (entries.written == entries.first_write) & self.options.protect_first

    def before_write(self, entries: Entries, key: Tensor, values: Tensor) -> Tensor | None:
        """Called before a frame with key [HW, C_k] and values [objects, HW, C_v] is stored beside `entries`.

        Returns which of its cells are still to be stored, [HW] bool (None: all of them): a policy may work the others
        into the entries held.
        """
        return None

    def evict(self, entries: Entries, needed: int, now: int) -> Tensor:
        """Rows of the `needed` entries that leave; a new frame is written over them."""
        order = entries.order()
        scores = self.score(entries, now).masked_fill(self.protected(entries), torch.inf)
        for frame in self.kept:
            scores = scores.masked_fill(entries.written == frame, torch.inf)
        return order[scores[order].argsort(stable=True)[:needed]]


class EveryK(Policy, name="every_k", title="every-{memory_every}"):
    """Keep everything (STM, STCN). Grows without bound unless a capacity is given."""


class FirstAndLatest(Policy, name="first_and_latest"):
    """Keep annotated frames, and the previous frame until the next (STM's bounded variant)."""

    temporary_frames = True
    ignores = Policy.ignores | {"memory_every"}

    @property
    def smallest_capacity(self) -> int:
        """The annotated frame and the previous one; protection changes nothing here."""
        return 2

    def admit(self, due: bool, annotated: bool, entries: Entries | None, key: Tensor) -> Admission:
        return Admission.STORE if annotated else Admission.TEMPORARY


class LeastFrequentlyUsed(Policy, name="lfu", title="LFU"):
    """The thesis's bank (section 3.3.4): forget the entries with the lowest usage index over age.

    Usage index: the number of query cells, over all frames read, whose top-k held the entry (`index="topk"`), or the
    sum of its softmax weights there (`index="softmax"`, table 4), or the sum over frames of log(1 + that number)
    (`index="log"`, Liang et al. 2020). Age: video frames since it was written.
    """

    default_frames = 2
    ignores = Policy.ignores - {"index"}

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        index = self.options.index
        amounts = matches.weights if index == "softmax" else torch.ones_like(matches.weights)
        entries.use(matches.indices, amounts, log=index == "log")

    def score(self, entries: Entries, now: int) -> Tensor:
        age = (now - entries.written).clamp(min=1)
        return entries.usage / age
