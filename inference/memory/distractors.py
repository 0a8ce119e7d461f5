"""A policy that keeps frames in which the object was told apart from something that looks like it."""

import torch
from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.good_frames import GoodFrames
from inference.memory.latest import latest
from inference.memory.policies import Admission
from inference.quality import FrameQuality

_FRAMES = 2               # capacity if none is given
_SURE = 0.8               # confidence of an anchor
_BOX_SHARE = 0.7          # of the mask's box, up to which there is a distractor
_STEADY = 0.2             # how far the area may be from the median, as a share of it


class DistractorAwareMemory(GoodFrames, name="dam", title="DAM"):
    """Half of the bank: the latest frames that are not empty. The other half: the first frame, and anchors.

    Source: DAM4SAM (Videnovic et al. 2025). A frame in which no object has a pixel is not stored. A frame is an anchor
    if an object was told apart from a distractor in it: confidence of at least 0.8, an area within 20 % of the median
    area in the frames held, and a mask whose box is at most 0.7 of the box around all that may be the object. Given
    masks are anchors too. The latest N - N // 2 frames leave last, then the anchors, oldest first. Needs `quality`; the
    host waits for the device once for each frame that is tried. Simplified: something with a probability of 0.1 takes
    the place of SAM 2's alternative masks, confidence that of its predicted IoU; the median is not of the last ten
    frames; places that no anchor takes hold further recent frames. `usage` is 1 for the entries of anchors.
    """

    default_frames = _FRAMES

    def reset(self) -> None:
        super().reset()
        self.anchor: Tensor | None = None      # bool: whether the frame that was stored last is an anchor

    def good(self, quality: FrameQuality) -> Tensor:
        return (~quality.empty).any()

    def judge(
        self, admission: Admission, annotated: bool, quality: FrameQuality, entries: Entries | None
    ) -> Admission:
        admission = super().judge(admission, annotated, quality, entries)
        if admission is not Admission.STORE:
            return admission
        if entries is not None and self.anchor is not None:
            entries.usage.masked_fill_(_latest_frames(entries, 1) & self.anchor, 1)
        if annotated or entries is None:
            self.anchor = torch.ones_like(quality.empty).any()
        else:
            self.anchor = self._told_apart(quality, entries)
        return admission

    def score(self, entries: Entries, now: int) -> Tensor:
        frames = (self.options.memory_frames or _FRAMES) - self.temporary_frames
        recent = _latest_frames(entries, frames - frames // 2 - 1)         # beside the one that is written now
        level = torch.where(recent, 2, (entries.usage > 0).to(entries.written.dtype))
        return (entries.written + level * (now + 1)).to(entries.usage.dtype)

    @staticmethod
    def _told_apart(quality: FrameQuality, entries: Entries) -> Tensor:
        """Whether an object of the frame was told apart from a distractor, bool."""
        areas = entries.quality.area
        median = areas.masked_fill(areas == 0, torch.nan).nanmedian(0).values
        steady = (quality.area - median).abs() <= _STEADY * median
        return (steady & (quality.confidence >= _SURE) & (quality.box_share <= _BOX_SHARE) & ~quality.empty).any()


def _latest_frames(entries: Entries, frames: int) -> Tensor:
    return latest(entries.written, torch.ones_like(entries.written, dtype=torch.bool), frames)
