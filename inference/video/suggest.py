"""Which frames to annotate next: those where masks are likely wrong, in views that no annotated frame shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidate:
    """A frame that could be annotated."""

    name: str                        # of the frame, or its number
    wrong: dict[int, float]          # object -> probability that its mask is wrong: 1 - confidence
    key: np.ndarray                  # [C_k] float32, the frame's key, mean over its cells

    @property
    def errors(self) -> float:
        """Expected number of wrong masks."""
        return sum(self.wrong.values())


@dataclass(frozen=True)
class Suggestion:
    """A frame worth annotating."""

    name: str
    gain: float                      # expected, relative to the first suggestion: 0 to 1
    wrong: dict[int, float]          # of its candidate


class AnnotationAdvisor:
    """Ranks the frames of a video by what an annotation of them would bring.

    The expected gain of a frame is its expected number of wrong masks times its novelty. The novelty is the distance of
    its mean key to the nearest one of a frame that is annotated or suggested already, so that neighbors, which look
    alike, are not all suggested.

    It is fed frame by frame and holds at most `kept` candidates, however long the video is: the best frame of each
    stretch of the video; as the video grows, the stretches double. As many annotated frames are held.
    """

    def __init__(self, kept: int = 256) -> None:
        if kept < 2:
            raise ValueError(f"kept: expected at least 2, found {kept}")
        self.kept, self._stretch, self._frames = kept, 1, 0
        self._candidates: dict[int, tuple[float, Candidate]] = {}      # stretch -> gain when seen, frame
        self._annotated: list[np.ndarray] = []

    def see(self, name: str, confidence: dict[int, float], key: np.ndarray, annotated: bool = False) -> None:
        """Take the next frame.

        Args:
            confidence: of each object's mask. key: [C_k], of `VideoSegmenter.mean_key`. annotated: it came with masks.
        """
        index, self._frames = self._frames, self._frames + 1
        if annotated:
            self._annotated.append(key)
            if len(self._annotated) > self.kept:
                del self._annotated[1::2]
            return
        candidate = Candidate(name, {number: 1 - each for number, each in confidence.items()}, key)
        if candidate.errors > 0:
            self._keep(index // self._stretch, (candidate.errors * self._novelty(key), candidate))
        while len(self._candidates) > self.kept:
            earlier, self._candidates = self._candidates, {}
            self._stretch *= 2
            for place, each in earlier.items():
                self._keep(place // 2, each)

    @property
    def candidates(self) -> int:
        """How many are held."""
        return len(self._candidates)

    @property
    def annotated(self) -> int:
        """How many annotated frames are held."""
        return len(self._annotated)

    def best(self, count: int = 5, least: float = 0.0) -> list[Suggestion]:
        """Up to `count` frames, the best first, chosen one after the other.

        Args:
            least: leave out frames with fewer expected wrong masks.
        """
        left = [candidate for _, candidate in self._candidates.values() if candidate.errors >= least]
        novelty = np.array([self._novelty(candidate.key) for candidate in left])
        errors = np.array([candidate.errors for candidate in left])
        chosen: list[Suggestion] = []
        first = 0.0
        while len(chosen) < min(count, len(left)):
            gains = errors * novelty
            place = int(gains.argmax())
            if not gains[place] > 0:
                break
            first = first or float(gains[place])
            chosen.append(Suggestion(left[place].name, float(gains[place]) / first, left[place].wrong))
            distances = [float(np.linalg.norm(candidate.key - left[place].key)) for candidate in left]
            novelty = np.minimum(novelty, distances)
        return chosen

    def _keep(self, place: int, each: tuple[float, Candidate]) -> None:
        """Keep a frame as the one of its stretch if it is better than the one held, or the first."""
        if place not in self._candidates or each[0] > self._candidates[place][0]:
            self._candidates[place] = each

    def _novelty(self, key: np.ndarray) -> float:
        """Distance to the nearest annotated frame; 1 if none is annotated."""
        return min((float(np.linalg.norm(key - other)) for other in self._annotated), default=1.0)


def describe(suggestions: Sequence[Suggestion]) -> str:
    """One line for people."""
    if not suggestions:
        return "no frame is worth annotating: every mask is likely right"
    frames = []
    for each in suggestions:
        number = max(each.wrong, key=lambda number: each.wrong[number])
        frames.append(f"{each.name} (object {number}, confidence {1 - each.wrong[number]:.2f})")
    return f"frames worth annotating next: {', '.join(frames)}"
