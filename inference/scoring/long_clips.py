"""Scores of long synthetic clips: over time, after each return of an object, and around each event."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from dataset.synthetic_events import EventLog, Return

AFTER = 50          # frames after a return, or after an event, that count for it
GONE = 10           # a shorter absence is no absence
KINDS = ("leave", "hide", "look-alike", "background")
COLUMNS = ("J&F", "after a return", "while gone", *(f"around {kind}" for kind in KINDS))
Scored = Mapping[int, tuple[list[float], list[float]]]      # object -> J and F, without first and last frame


@dataclass(frozen=True)
class ScoredReturn(Return):
    """A return and the mean J&F over the first AFTER frames of it, or until the object is gone again."""

    score: float


class LongScores:
    """The scores of one setting on one clip."""

    def __init__(self, log: EventLog, scores: Scored) -> None:
        self.log = log
        self.values = {number: _by_frame(j, f, log.length) for number, (j, f) in scores.items()}

    def returns(self) -> list[ScoredReturn]:
        """Every return after an absence of at least GONE frames that has a scored frame."""
        scored = []
        for each in self.log.returns(GONE):
            value = _mean(self.values[each.object][each.start:min(each.end, each.start + AFTER)])
            if not math.isnan(value):
                scored.append(ScoredReturn(each.object, each.start, each.end, each.gone, value))
        return scored

    def while_gone(self) -> list[float]:
        """J&F of every frame that does not show the object: 1 if nothing was segmented, 0 otherwise."""
        return [
            float(value) for number, values in self.values.items()
            for value in values[~self.log.is_shown(number)] if not math.isnan(value)
        ]

    def around(self, kind: str) -> list[float]:
        """Of each event of a kind: mean J&F of its object (of all, if the scene changed) in the frames that show it.

        The frames are those from the event's beginning to AFTER frames past its end.
        """
        means = []
        for event in (event for event in self.log.events if event.kind == kind):
            for number in [event.object] if event.object else self.values:
                window = slice(event.start, event.end + AFTER)
                value = _mean(self.values[number][window][self.log.is_shown(number)[window]])
                if not math.isnan(value):
                    means.append(value)
        return means

    def over_time(self, width: int) -> np.ndarray:
        """Mean J&F over the objects, of each `width` frames; NaN for frames that are not scored."""
        return binned(np.nanmean([values[1:-1] for values in self.values.values()], 0), width)


def binned(values: np.ndarray, width: int) -> np.ndarray:
    """Means of each `width` values; the last mean may be of fewer."""
    return np.array([_mean(values[start:start + width]) for start in range(0, len(values), width)])


def long_columns(clips: Iterable[LongScores]) -> dict[str, float]:
    """COLUMNS over all clips: J&F is the mean over objects; the others are means over returns, frames and events."""
    clips = list(clips)
    objects = [_mean(values) for clip in clips for values in clip.values.values()]
    returns = [each.score for clip in clips for each in clip.returns()]
    gone = [value for clip in clips for value in clip.while_gone()]
    kinds = [[value for clip in clips for value in clip.around(kind)] for kind in KINDS]
    return dict(zip(COLUMNS, (_mean(np.array(group)) for group in (objects, returns, gone, *kinds)), strict=True))


def _by_frame(j: list[float], f: list[float], length: int) -> np.ndarray:
    """J&F by frame number; NaN for the first and the last frame, which DAVIS does not score."""
    values = np.full(length, math.nan)
    values[1:-1] = (np.asarray(j) + np.asarray(f)) / 2
    return values


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
