"""What is noted about the objects while a video is segmented: confidence, loss, and which frames to annotate next."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from dataset.folder import Frame
from inference.errors import RunError
from inference.quality import UNCERTAIN, Quality, State
from inference.video.suggest import AnnotationAdvisor, Suggestion

_MOST_RANGES = 1000       # that are kept of an object and state: a mask may flicker for hours


@dataclass
class Track:
    """One object over time."""

    frames: int = 0
    confidence: float = 0.0                                          # summed over the frames
    ranges: dict[str, list[list[str]]] = field(default_factory=lambda: {"absent": [], "uncertain": []})
    lost_since: str = ""                                             # frame
    lost_frames: int = 0                                             # in a row, up to now
    _state: State = "present"                                        # of the previous frame
    _last: str = ""                                                  # its name

    def see(self, name: str, confidence: float, state: State) -> None:
        self.frames, self.confidence = self.frames + 1, self.confidence + confidence
        if state != "present":
            ranges = self.ranges[state]
            if state == self._state and ranges[-1][1] == self._last:
                ranges[-1][1] = name
            elif len(ranges) < _MOST_RANGES:
                ranges.append([name, name])
            self.lost_since = self.lost_since if self.lost_frames else name
        self.lost_frames = 0 if state == "present" else self.lost_frames + 1
        self._state, self._last = state, name

    def record(self) -> dict[str, Any]:
        """For run.json: ranges are pairs of the first and the last frame."""
        return {"frames": self.frames, "confidence_mean": self.confidence / self.frames, **dict(self.ranges)}


class Watch:
    """`see` takes each frame.

    Args:
        pause_after: raise RunError once an object has been absent or uncertain in so many frames in a row.
    """

    def __init__(self, pause_after: int | None = None) -> None:
        self.pause_after = pause_after
        self.tracks: dict[int, Track] = {}
        self.advisor = AnnotationAdvisor()

    def see(self, frame: Frame, objects: list[int], quality: Quality, key: Tensor | None) -> None:
        """quality: on the host. key: [C_k], the frame's mean key; None before the first annotation."""
        confidence = dict(zip(objects, quality.confidence.tolist(), strict=True))
        for number, state in zip(objects, quality.state, strict=True):
            self.tracks.setdefault(number, Track()).see(frame.name, confidence[number], state)
        if key is not None:
            self.advisor.see(frame.name, confidence, key.numpy(force=True), frame.annotation is not None)
        for number, track in self.tracks.items():
            if self.pause_after and track.lost_frames >= self.pause_after:
                raise RunError(_lost(number, track))

    def suggestions(self) -> list[Suggestion]:
        """Frames to annotate next, the best first: some mask of them is likely wrong."""
        return self.advisor.best(least=1 - UNCERTAIN)

    def record(self) -> dict[str, Any]:
        """For run.json."""
        suggestions = [
            {"frame": each.name, "gain": each.gain, "confidence": {n: 1 - wrong for n, wrong in each.wrong.items()}}
            for each in self.suggestions()
        ]
        return {"objects": {number: track.record() for number, track in self.tracks.items()},
                "suggestions": suggestions}


def _lost(number: int, track: Track) -> str:
    first = track.lost_since
    return (f"object {number}: expected to find it, found it absent or uncertain in {track.lost_frames} frames from "
            f"{first} on; paint its mask in frame {first}, or in the first later one that shows it, add it to --mask "
            f"as {first}.png, and run again with --overwrite")
