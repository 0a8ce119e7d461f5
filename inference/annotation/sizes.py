"""Label maps between the working size, at which they are painted, and the size of the video."""

import cv2
import numpy as np


def shrunk(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map at the working size (h, w), which is at most its own."""
    return _resized(labels, size)


def enlarged(painted: np.ndarray, current: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """A painted label map at the size (H, W) of the video. `shrunk` gives the painted one back exactly.

    Where it equals the mask that was shown, `current` [H, W] keeps its finer edges.
    """
    full = _resized(painted, size)
    if current is None or painted.shape == size:
        return full
    same = _resized(shrunk(current, painted.shape), size) == full
    return np.where(same, current, full)


def _resized(labels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    if labels.shape == size:
        return labels
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
