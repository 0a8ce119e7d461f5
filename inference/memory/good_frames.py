"""Policies that store a memory frame only if its masks look good enough; the first frame stays.

They need `quality`. The confidence of a frame is the mean confidence of its masks with pixels, and 0 if all masks are
empty (`inference/quality.py`). If a frame is not good enough, the next one is tried after a whole interval. The host
waits for the device once for each frame that is tried.
"""

from typing import ClassVar

from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.policies import Admission, Policy
from inference.quality import UNCERTAIN, FrameQuality

_OF_THE_FIRST = 0.8       # QDMN's threshold, as a share of the first frame's quality


class GoodFrames(Policy):
    """Stores the memory frames whose confidence is at least `least`; annotated frames are always stored."""

    default_frames = 2
    needs_quality = True
    least: ClassVar[float]

    def reset(self) -> None:
        self.pause = 0                         # frames until the next one may be tried

    def good(self, quality: FrameQuality) -> Tensor:
        """Whether a frame may be stored, bool."""
        return quality.overall >= self.least

    def judge(
        self, admission: Admission, annotated: bool, quality: FrameQuality, entries: Entries | None
    ) -> Admission:
        self.pause = 0 if annotated else max(self.pause - 1, 0)
        if admission is not Admission.STORE or annotated or entries is None:
            return admission
        if not self.pause and bool(self.good(quality)):
            return admission
        self.pause = self.pause or self.options.memory_every
        return self.not_stored

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write


class QualityFirstInFirstOut(GoodFrames, name="quality_fifo"):
    """`fifo` over good frames: the first frame, and the latest memory frames with a confidence of at least 0.5.

    Source: the frame filter of SAM 3 (Carion et al. 2025), whose score is the mean over the objects, and the mask score
    of SAMURAI (Yang et al. 2024), which has to exceed 0.5. Simplified: confidence takes the place of a predicted IoU,
    and objects without a pixel do not count, in place of a predicted visibility. SAMURAI also asks that the mask is
    where the motion of the object predicts it.
    """

    least = UNCERTAIN


class QualityAwareMemory(GoodFrames, name="qdmn", title="QDMN"):
    """Store frames of at least 0.8 of the first frame's quality; forget those that are bad and long ago.

    Source: QDMN (Liu et al. 2022). If the bank is full, the frame with the lowest quality + exp(-distance) leaves,
    where distance counts memory intervals from the current frame. Simplified: confidence takes the place of QDMN's
    predicted quality, which is learned; that of the first frame is 1, since its mask is given.
    """

    least = _OF_THE_FIRST * 1.0

    def score(self, entries: Entries, now: int) -> Tensor:
        distance = (now - entries.written).abs().to(entries.usage.dtype) / self.options.memory_every
        return entries.quality.overall + (-distance).exp()
