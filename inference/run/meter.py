"""Time and memory that segmenting one sequence takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from inference.run.record import SequenceReport
from inference.views import ViewSegmenter


class Meter:
    """Adds up the seconds in the segmenter, and what its bank holds after each frame. Starts when it is made."""

    def __init__(self, segmenter: ViewSegmenter) -> None:
        self.segmenter = segmenter
        self.frames, self.seconds = 0, 0.0
        self.held_peak, self.bytes_peak = 0.0, 0
        self._held = 0.0                        # summed over the frames
        self._started = time.perf_counter()

    @contextmanager
    def segmenting(self) -> Iterator[None]:
        """Time spent inside counts as time in the segmenter."""
        begin = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - begin

    def count(self) -> None:
        """The segmenter has taken one more frame."""
        held = self.segmenter.frames_held
        self.frames, self._held = self.frames + 1, self._held + held
        self.held_peak = max(self.held_peak, held)
        self.bytes_peak = max(self.bytes_peak, self.segmenter.bytes_held)

    @property
    def fps(self) -> float:
        return self.frames / self.seconds

    @property
    def held_mean(self) -> float:
        """Memory frames held, mean over the frames."""
        return self._held / self.frames

    def report(self) -> SequenceReport:
        """After the last frame."""
        return SequenceReport(
            frames=self.frames, objects=len(self.segmenter.objects), seconds=self.seconds,
            wall_seconds=time.perf_counter() - self._started, frames_held_mean=self.held_mean,
            frames_held_peak=self.held_peak, bytes_held_peak=self.bytes_peak,
            convolutions=self.segmenter.algorithms,
        )
