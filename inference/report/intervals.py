"""How much a mean depends on which sequences, and which trainings, it is over: the paired bootstrap (Efron 1979)."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 10_000
COVERED = 0.95
_SEED = 0


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """The interval of the mean of paired differences that covers 95 % of the means of resampled sequences.

    Sequences are drawn with replacement, each with the scores of both runs; always the same draws. NaNs are left out.
    Returns (low, high), or NaNs if fewer than two differences are left.
    """
    return interval_over_trainings([differences])


def interval_over_trainings(differences: ArrayLike) -> tuple[float, float]:
    """The same for differences [trainings, sequences]: trainings and sequences are drawn, each with replacement (Owen
    2007), so that both kinds of chance count. Sequences with a NaN are left out; one training is not drawn.

    With few trainings, the interval is rough.
    """
    paired = np.asarray(differences, np.float64)
    paired = paired[:, ~np.isnan(paired).any(0)]
    trainings, sequences = paired.shape
    if sequences < 2:
        return math.nan, math.nan
    generator = np.random.default_rng(_SEED)
    drawn = generator.integers(0, sequences, (RESAMPLES, sequences))
    if trainings == 1:
        means = paired[0][drawn].mean(1)
    else:
        chosen = generator.integers(0, trainings, (RESAMPLES, trainings))
        means = np.take_along_axis(paired[chosen].mean(1), drawn, 1).mean(1)
    low, high = np.quantile(means, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)
