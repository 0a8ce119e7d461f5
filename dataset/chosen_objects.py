"""Which objects of a clip get a number, if it shows more than the network is asked for. Labels: [N, H, W] uint8."""

import cv2
import numpy as np

from dataset.masks import VOID, areas_in

_LEAST = 0.004      # share of the frame that an object shows at least: 24 x 24 pixels in 384 x 384


def visible_objects(first: np.ndarray) -> np.ndarray:
    """The objects of a clip's first labels [H, W], ascending; neither background nor void."""
    return np.setdiff1d(np.unique(first), (0, VOID))


def clear_objects(first: np.ndarray) -> np.ndarray:
    """The visible objects without slivers and tiny ones, which tell little; if all are tiny, the largest."""
    areas = areas_in(first)
    areas[[0, VOID]] = 0
    return np.flatnonzero(areas >= max(1, min(_LEAST * first.size, areas.max())))


def number_objects(labels: np.ndarray, objects: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Labels with at most `most` of the objects, drawn at random and numbered from 1; all others become background."""
    chosen = rng.permutation(objects)[:most]
    numbers = np.zeros(VOID + 1, np.uint8)
    numbers[chosen] = np.arange(1, len(chosen) + 1)
    return cv2.LUT(labels, numbers)
