"""J (region similarity) and F (boundary accuracy) of two masks, and their statistics over a sequence.

The numbers are those of the official DAVIS 2017 toolkit (Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017).
Masks are boolean `[H, W]`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

RECALL_THRESHOLD = 0.5
TOLERANCE = 0.008   # of the image's diagonal


@dataclass(frozen=True)
class Statistics:
    """Mean, recall (share of frames above 0.5) and decay (first quarter minus last) of per-frame scores."""

    mean: float
    recall: float
    decay: float


def region_similarity(truth: np.ndarray, prediction: np.ndarray) -> float:
    """J: intersection over union of two boolean `[H, W]` masks, in [0, 1]; 1 if both are empty.

    Raises ValueError if the shapes differ.
    """
    truth, prediction = _as_booleans(truth, prediction)
    union = np.count_nonzero(truth | prediction)
    return np.count_nonzero(truth & prediction) / union if union else 1.0


def boundary_accuracy(truth: np.ndarray, prediction: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """F: harmonic mean of precision and recall of boundary pixels matched within a tolerance, in [0, 1].

    `tolerance` is a fraction of the diagonal, rounded up to whole pixels; from 1 on it is a number of pixels.
    The value is 1 if neither mask has a boundary. Raises ValueError if the shapes differ.

    Only a window around both masks is searched; the value equals that of `boundary_accuracy_plain`.
    """
    return boundary_accuracy_within(truth, prediction, _radius(truth.shape, tolerance))


def boundary_accuracy_within(truth: np.ndarray, prediction: np.ndarray, radius: float) -> float:
    """`boundary_accuracy` with a tolerance in pixels, which may be a fraction.

    The disk of a fractional radius is that of the toolkit of MOSE v2 (skimage's `disk`): its grid begins at -radius and
    so lies beside the center.
    """
    truth, prediction = _as_booleans(truth, prediction)
    window = _window(truth | prediction)
    return _boundary_score(truth[window], prediction[window], radius)


def boundary_accuracy_plain(truth: np.ndarray, prediction: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """`boundary_accuracy` over the whole frame, as it is defined: the oracle of the fast version."""
    truth, prediction = _as_booleans(truth, prediction)
    return _boundary_score(truth, prediction, _radius(truth.shape, tolerance))


def score_frame(truth: np.ndarray, prediction: np.ndarray, objects: Iterable[int]) -> list[tuple[float, float]]:
    """(J, F) of each of the `objects` in two label maps [H, W].

    Void pixels of the truth (255) are background, as in the official toolkit's semi-supervised evaluation: an object
    predicted there is a false positive.
    """
    masks = [(truth == number, prediction == number) for number in objects]
    return [(region_similarity(*pair), boundary_accuracy(*pair)) for pair in masks]


def statistics(values: Sequence[float]) -> Statistics:
    """Statistics of the per-frame scores of one object, in frame order.

    Neighboring quarters share the frame between them, so that even one, two or three values have quarters and every
    statistic is finite. Without values all three are NaN: nothing was measured, and any number would change the
    averages.

    The toolkit stores the limits of the quarters in eight bits, which overflow after 256 frames; here they do not.
    """
    if len(values) == 0:
        return Statistics(math.nan, math.nan, math.nan)
    scores = np.asarray(values, dtype=np.float64)
    limits = (np.round(np.linspace(1, len(scores), 5) + 1e-10) - 1).astype(int)
    first, last = scores[limits[0]:limits[1] + 1], scores[limits[3]:limits[4] + 1]
    return Statistics(
        mean=float(scores.mean()),
        recall=float((scores > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


def _as_booleans(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if truth.shape != prediction.shape:
        raise ValueError(f"expected masks of one shape, found {truth.shape} and {prediction.shape}")
    return truth.astype(bool, copy=False), prediction.astype(bool, copy=False)


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """The mask's bounding box and one pixel around it, within the frame.

    One pixel is enough: a boundary pixel is in the mask or just above or left of it, matches are counted at boundary
    pixels only, and with one pixel of background the window's edges have the same neighbors as in the frame.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)


def _boundary_score(truth: np.ndarray, prediction: np.ndarray, radius: float) -> float:
    truth_boundary, boundary = _boundary(truth), _boundary(prediction)
    expected, found = np.count_nonzero(truth_boundary), np.count_nonzero(boundary)
    if expected == 0 or found == 0:
        return float(expected == found)
    precision = np.count_nonzero(boundary & _dilate(truth_boundary, radius)) / found
    recall = np.count_nonzero(truth_boundary & _dilate(boundary, radius)) / expected
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels that differ from their right, lower or lower-right neighbor inside the frame."""
    boundary = np.zeros_like(mask)
    boundary[:, :-1] |= mask[:, :-1] ^ mask[:, 1:]
    boundary[:-1] |= mask[:-1] ^ mask[1:]
    boundary[:-1, :-1] |= mask[:-1, :-1] ^ mask[1:, 1:]
    return boundary


def _dilate(boundary: np.ndarray, radius: float) -> np.ndarray:
    return cv2.dilate(boundary.view(np.uint8), _disk(radius)).view(bool)


def _radius(shape: tuple[int, ...], tolerance: float) -> int:
    return int(tolerance) if tolerance >= 1 else math.ceil(tolerance * math.hypot(*shape))


@lru_cache
def _disk(radius: float) -> np.ndarray:
    offsets = np.arange(-radius, radius + 1) ** 2
    return (offsets[:, None] + offsets <= radius ** 2).astype(np.uint8)
