"""How far a number can be believed: its separation of right from wrong, and the map that makes it a probability."""

from dataclasses import dataclass

import numpy as np

_STEPS = 50          # of Newton's method, which needs about ten
_RIDGE = 1e-3        # keeps the slope finite if the scores separate right from wrong completely


@dataclass(frozen=True)
class Bin:
    """Those whose confidence lies in one range."""

    confidence: float     # mean
    right: float          # share that was right
    count: int


def auc(scores: np.ndarray, right: np.ndarray) -> float:
    """Area under the ROC curve: the probability that one that was right has a higher score than one that was wrong.

    Equal scores count half. NaN if all or none were right.

    Args:
        scores: [n]. right: [n] bool.
    """
    positive, negative = scores[right], np.sort(scores[~right])
    if not len(positive) or not len(negative):
        return float("nan")
    below = np.searchsorted(negative, positive, "left") + np.searchsorted(negative, positive, "right")
    return float(below.mean() / (2 * len(negative)))


def fit_logistic(scores: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Offset and slope of the logistic function of the score that is the probability of being right (Platt 1999).

    Args:
        scores: [n]. right: [n] bool.
    """
    features = np.stack([np.ones(len(scores)), scores], 1)
    weights = np.zeros(2)
    for _ in range(_STEPS):
        expected = logistic(features @ weights)
        gradient = features.T @ (expected - right) + _RIDGE * weights
        curvature = (features * (expected * (1 - expected))[:, None]).T @ features + _RIDGE * np.eye(2)
        weights -= np.linalg.solve(curvature, gradient)
    return float(weights[0]), float(weights[1])


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))


def reliability(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> list[Bin]:
    """The ranges of equal width from 0 to 1, without empty ones.

    Args:
        confidence: [n], 0 to 1. right: [n] bool.
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [Bin(float(confidence[place == each].mean()), float(right[place == each].mean()), int((place == each).sum()))
            for each in range(bins) if (place == each).any()]


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Mean distance of confidence and share right over the ranges of `reliability`, weighted by their counts (ECE)."""
    each = reliability(confidence, right, bins)
    return sum(abs(one.confidence - one.right) * one.count for one in each) / len(confidence)
