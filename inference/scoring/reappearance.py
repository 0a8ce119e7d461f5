"""The scores of an object while it is gone, and after it came back (MOSE v2: J&F_d and J&F_r)."""

import math
from collections.abc import Sequence

import numpy as np


def disappeared_and_reappeared(
    j: Sequence[float], f: Sequence[float], shown: Sequence[bool]
) -> tuple[float, float]:
    """J&F over the spells in which an object is gone, and over those in which it is back.

    A spell is a run of frames in which the ground truth does not show the object (gone), or shows it after it was gone
    (back). Each value is the mean over the spells of the mean over a spell's frames; NaN without such a spell. A run
    of empty frames at the beginning is no disappearance; the frames after it are a return. As in the evaluation code
    of MOSE v2.

    Args:
        j, f: per frame. shown: whether the ground truth shows the object there.
    """
    both = (np.asarray(j) + np.asarray(f)) / 2
    means = {True: list[float](), False: list[float]()}
    for start, end in spells(shown):
        if start > 0:
            means[shown[start]].append(float(both[start:end].mean()))
    return _mean(means[False]), _mean(means[True])


def spells(shown: Sequence[bool]) -> list[tuple[int, int]]:
    """(first frame, frame after the last) of each run of equal values."""
    changes = [index for index in range(1, len(shown)) if shown[index] != shown[index - 1]]
    return list(zip([0, *changes], [*changes, len(shown)], strict=True)) if len(shown) else []


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
