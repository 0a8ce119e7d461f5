"""Composites: objects cut out of still images move over the frames of a clip, and occlude what lies behind them.

An object keeps the texture of its image. Its path is an affine map per frame, whose translation, rotation and scale
grow with the number of the frame. Labels change where an object covers more than half of a pixel.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from dataset.augment import Matrix
from dataset.masks import VOID, areas_in

PASTED_AREA = 0.03, 0.3         # share of the crop that a pasted object covers in the first frame
CUT_AREA = 0.015, 0.5           # share of its image that an object covers if it can be cut out
MOST_ENLARGED = 2.0             # larger objects would be blurred
_STEP, _SPIN, _GROWTH = 0.15, 12.0, 0.12     # largest change per frame: shares of the crop, degrees, logarithm of scale
_TILT = 20.0                                # largest rotation in the first frame, degrees
_MARGIN = 2                                 # transparent pixels around a cut-out
_CUT_OFF = 0.15                             # largest share of an object's outline at the border of its image


@dataclass(frozen=True)
class Layer:
    """A pasted object.

    Attributes:
        cutout: [h, w, 4] uint8, RGB and opacity. path: for each frame, the 3 x 3 map from the cut-out to the frame.
        number: its label.
    """

    cutout: np.ndarray
    path: Sequence[Matrix]
    number: int


def cut_out(image: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """One object of an image [H, W, 3] with labels [H, W], [h, w, 4] uint8: RGB and opacity (0 or 255).

    It is drawn from the objects of CUT_AREA that the image's border does not cut off; None if there are none.
    """
    areas = areas_in(labels)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    at_border = np.bincount(border, minlength=VOID + 1)
    outline = 2 * np.sqrt(math.pi * areas)          # of a disk of this area
    smallest, largest = (share * labels.size for share in CUT_AREA)
    fit = (areas >= smallest) & (areas <= largest) & (at_border <= _CUT_OFF * outline)
    fit[[0, VOID]] = False
    if not fit.any():
        return None
    mask = (labels == rng.choice(np.flatnonzero(fit))) * np.uint8(255)
    left, top, width, height = cv2.boundingRect(mask)
    box = slice(top, top + height), slice(left, left + width)
    margins = (_MARGIN,) * 4
    cutout = cv2.cvtColor(cv2.copyMakeBorder(image[box], *margins, cv2.BORDER_REPLICATE), cv2.COLOR_RGB2RGBA)
    cv2.insertChannel(cv2.copyMakeBorder(mask[box], *margins, cv2.BORDER_CONSTANT, value=0), cutout, 3)
    return cutout


def draw_layer(cutout: np.ndarray, number: int, crop: int, frames: int, rng: np.random.Generator) -> Layer:
    """A cut-out on a random path over `frames` frames of crop x crop; its center is in the first of them."""
    share = math.exp(rng.uniform(*np.log(PASTED_AREA)))
    scale = min(MOST_ENLARGED, crop * math.sqrt(share / np.count_nonzero(cutout[..., 3])))
    if scale <= 0.5:        # bilinear sampling would skip pixels, so they are averaged first
        factor = int(1 / scale)
        cutout = cv2.resize(cutout, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        scale *= factor
    flip = -1.0 if rng.random() < 0.5 else 1.0
    start, step = rng.uniform(0.1, 0.9, 2) * crop, rng.uniform(-_STEP, _STEP, 2) * crop
    tilt, spin = rng.uniform(-_TILT, _TILT), rng.uniform(-_SPIN, _SPIN)
    growth = rng.uniform(-_GROWTH, _GROWTH)
    height, width = cutout.shape[:2]
    path = []
    for t in range(frames):
        angle, size = math.radians(tilt + t * spin), scale * math.exp(t * growth)
        cos, sin = size * math.cos(angle), size * math.sin(angle)
        turned: Matrix = np.array([[flip * cos, -sin], [flip * sin, cos]])
        shift = start + t * step - turned @ np.array([(width - 1) / 2, (height - 1) / 2])
        path.append(np.vstack([np.column_stack([turned, shift]), [0.0, 0.0, 1.0]]))
    return Layer(cutout, path, number)


def composite(frame: np.ndarray, labels: np.ndarray, layers: Sequence[Layer], behind: int, t: int) -> None:
    """Paste layers, the farthest first, onto frame `t` [H, W, 3] and its labels [H, W], in place.

    The first `behind` of them lie behind the objects that the frame has already.
    """
    if behind:
        own, own_labels = frame.copy(), labels.copy()
        for layer in layers[:behind]:
            _paste(frame, labels, layer, t)
        mask = own_labels > 0
        blend(frame, own, cv2.GaussianBlur(mask * np.uint8(255), (3, 3), 0))
        np.copyto(labels, own_labels, where=mask)
    for layer in layers[behind:]:
        _paste(frame, labels, layer, t)


def _paste(frame: np.ndarray, labels: np.ndarray, layer: Layer, t: int) -> None:
    matrix = layer.path[t]
    height, width = layer.cutout.shape[:2]
    corners = matrix[:2] @ np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]])
    low = np.clip(np.floor(corners.min(1)).astype(int), 0, frame.shape[1::-1])
    high = np.clip(np.ceil(corners.max(1)).astype(int) + 1, 0, frame.shape[1::-1])
    if (high <= low).any():
        return              # it has left the frame
    window = slice(low[1], high[1]), slice(low[0], high[0])
    moved = matrix[:2] - np.array([[0, 0, low[0]], [0, 0, low[1]]])
    shown = cv2.warpAffine(layer.cutout, moved, tuple((high - low).tolist()), flags=cv2.INTER_LINEAR)
    opacity = cv2.GaussianBlur(cv2.extractChannel(shown, 3), (3, 3), 0)
    blend(frame[window], cv2.cvtColor(shown, cv2.COLOR_RGBA2RGB), opacity)
    labels[window][opacity >= 128] = layer.number


def blend(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> None:
    """Cover `below` [H, W, 3] by `above`, in place; opacity: [H, W] uint8, 255 covers all."""
    share = opacity * np.float32(1 / 255)
    below[:] = cv2.blendLinear(below, above, 1 - share, share)
