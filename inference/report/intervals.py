"""How much a mean over sequences depends on which sequences they are: the paired bootstrap (Efron 1979)."""

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 10_000
COVERED = 0.95
_SEED = 0


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """The interval of the mean of paired differences that covers 95 % of the means of resampled sequences.

    Sequences are drawn with replacement, each with the scores of both runs; always the same draws. NaNs are left out.
    Returns (low, high), or NaNs if fewer than two differences are left.
    """
    there = np.array([difference for difference in differences if not math.isnan(difference)])
    if len(there) < 2:
        return math.nan, math.nan
    drawn = np.random.default_rng(_SEED).integers(0, len(there), (RESAMPLES, len(there)))
    low, high = np.quantile(there[drawn].mean(1), [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)
