"""A policy that prepares for the return of an object."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from inference.memory.entries import Entries
from inference.memory.latest import latest
from inference.memory.policies import Admission, Policy
from inference.quality import UNCERTAIN, FrameQuality

_KEPT = 4                 # frames that are kept when an object disappears


class Recovery(Policy, name="recover"):
    """`fifo`, and when an object is empty for the first time, its latest good frames are kept.

    Source: the reappearance memory of the baselines of MOSE (Ding et al. 2023, 2025). When the mask of an object is
    empty for the first time, up to four frames are kept: the latest ones held in which it has pixels and a confidence
    of at least 0.5. Kept frames leave after all others but the first frame, oldest first, so with N frames at most
    N - 2 stay beside the first and the newest one. Needs `quality`. Simplified: one bank serves all objects, and frames
    are kept out of those that the bank holds. `usage` is 1 for the entries of kept frames.
    """

    default_frames = 2
    needs_quality = True

    def reset(self) -> None:
        self.lost: Tensor | None = None        # [objects] bool: has been empty before

    def forget(self, obj: int) -> None:
        if self.lost is not None:
            self.lost = torch.cat([self.lost[:obj], self.lost[obj + 1 :]])

    def judge(
        self, admission: Admission, annotated: bool, quality: FrameQuality, entries: Entries | None
    ) -> Admission:
        empty = quality.empty
        before = empty.new_zeros(0) if self.lost is None else self.lost
        before = pad(before, (0, len(empty) - len(before)))
        if entries is not None:
            disappears = (empty & ~before)[: entries.objects]
            good = ~entries.quality.empty & (entries.quality.confidence >= UNCERTAIN)
            kept = (latest(entries.written, good, _KEPT) & disappears).any(1)
            entries.usage.masked_fill_(kept, 1)
        self.lost = before | empty
        return admission

    def score(self, entries: Entries, now: int) -> Tensor:
        return torch.where(entries.usage > 0, entries.written, entries.written - (now + 1)).to(entries.usage.dtype)

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write
