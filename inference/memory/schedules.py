"""Policies that know nothing but when a frame was written."""

from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.policies import Admission
from inference.memory.simple import FirstInFirstOut


class StridedFrames(FirstInFirstOut, name="strided"):
    """The first frame, the previous frame, and the latest of every K-th frame that fit beside them.

    Source: SAM 2 (Ravi et al. 2024), whose memory has a place for the previous frame and takes the others with a
    stride, here `--memory-every`. At two frames there is no place for others. A value is encoded for every frame, as
    the previous one is always held. Simplified: SAM 2 keeps every annotated frame (`--keep-given`), and marks how long
    ago a frame was.
    """

    temporary_frames = True
    ignores = FirstInFirstOut.ignores | {"include_last"}

    @property
    def smallest_capacity(self) -> int:
        """The first frame and the previous one; protection changes nothing here."""
        return 2

    def admit(self, due: bool, annotated: bool, entries: Entries | None, key: Tensor) -> Admission:
        room = entries is None or entries.rows >= 3 * len(key)
        return super().admit(due and room, annotated, entries, key)


class OldestKept(FirstInFirstOut, name="oldest_kept"):
    """The oldest memory frames and the newest: once the bank is full, each new frame replaces the one before it.

    Source: how LVOS (Hong et al. 2023) limits the memory of AOT on long videos. A full bank that holds N frames has the
    first N - 1 memory frames of the video for good.
    """

    def score(self, entries: Entries, now: int) -> Tensor:
        return -super().score(entries, now)
