"""A mask from a box and strokes of foreground and background: cv2.grabCut (Rother et al. 2004)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from inference.annotation.errors import Refused

_ROUNDS = 3            # of grabCut
_MARGIN = 0.5          # of the foreground strokes' extent: how far beyond them an object may reach if there is no box
_LEAST = 24            # pixels around the object that are looked at
Stroke = Sequence[tuple[float, float]]      # (x, y) in pixels


@dataclass(frozen=True)
class Hints:
    """What a user has drawn, in pixels of the picture."""

    box: tuple[float, float, float, float] | None      # x0, y0, x1, y1; the object lies inside
    foreground: Sequence[Stroke]
    background: Sequence[Stroke]
    radius: float                                      # of the strokes


def grab_cut(image: np.ndarray, hints: Hints) -> np.ndarray:
    """[h, w, 3] uint8 RGB -> [h, w] uint8, 1 where the object is. The same hints give the same mask.

    Raises Refused if there is neither a box nor a foreground stroke, and for a box without an inside or an outside.
    """
    inside = _inside(image.shape[:2], hints)
    result = np.zeros(inside.shape, np.uint8)
    marks = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    for strokes, value in ((hints.background, cv2.GC_BGD), (hints.foreground, cv2.GC_FGD)):
        for stroke in strokes:
            _draw(marks, stroke, hints.radius, value)
    foreground = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    if not foreground.any() or foreground.all():
        raise Refused("box: expected pixels of the object inside and of the background outside of it; draw another one")
    around = _around(foreground)
    marks, picture = np.ascontiguousarray(marks[around]), np.ascontiguousarray(image[around][..., ::-1])
    cv2.setRNGSeed(0)
    inner, outer = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(picture, marks, (0, 0, 1, 1), outer, inner, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        raise Refused("grabCut: expected a larger object or more background; draw a larger box") from None
    result[around] = (marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)
    return result


def _around(foreground: np.ndarray) -> tuple[slice, slice]:
    """The part of a picture that is looked at: where the object may be, and half as much beyond, but some pixels."""
    x, y, width, height = cv2.boundingRect(foreground.astype(np.uint8))
    across, down = (max(_LEAST, side // 2) for side in (width, height))
    return slice(max(0, y - down), y + height + down), slice(max(0, x - across), x + width + across)


def _inside(size: tuple[int, int], hints: Hints) -> np.ndarray:
    """Where the object may be, [h, w] bool."""
    if hints.box is not None:
        x0, y0, x1, y1 = hints.box
    elif hints.foreground:
        points = np.array([point for stroke in hints.foreground for point in stroke], float)
        low, high = points.min(0), points.max(0)
        around = _MARGIN * (high - low) + 4 * hints.radius
        (x0, y0), (x1, y1) = low - around, high + around
    else:
        raise Refused("grabCut: expected a box or a foreground stroke, found neither; draw one")
    columns, rows = np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5
    across = (columns > min(x0, x1)) & (columns < max(x0, x1))
    down = (rows > min(y0, y1)) & (rows < max(y0, y1))
    inside: np.ndarray = down[:, None] & across
    return inside


def _draw(marks: np.ndarray, stroke: Stroke, radius: float, value: int) -> None:
    points = np.rint(np.array(stroke, float)).astype(np.int32)
    cv2.polylines(marks, [points], False, value, thickness=max(1, round(2 * radius)))
    for x, y in (points[0].tolist(), points[-1].tolist()):
        cv2.circle(marks, (x, y), max(0, round(radius)), value, thickness=-1)
