"""The judge of label maps: which masks are refused, and why.

Readers raise what it finds; the data doctor (`dataset/check.py`) reports the same. Label maps are [H, W] uint8.
"""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dataset.errors import Problem
from dataset.image_files import open_image
from dataset.masks import VOID, areas_in, in_pixels, labels_in, mode_problem, pixels_of

ASPECT_TOLERANCE = 0.01     # a mask whose aspect ratio is this close to its frame's was rounded, not mixed up
MANY, MOST = 50, 100        # values: time and memory grow with the objects; more are the grays of a picture
_HIGH = 64      # grays above this that occur only along edges were drawn by smoothing, not numbered


def label_map_problem(image: Image.Image, labels: np.ndarray | None) -> Problem | None:
    """Why an image is no map of object numbers: its format, its mode or its values; None if it is one.

    `labels` are its pixels; None: judge by the header alone.
    """
    if image.format in ("JPEG", "MPO"):
        return Problem("JPEG mask", "a PNG whose pixel values are object numbers", "a JPEG, which blurs them",
                       "export the mask as a PNG")
    if (problem := mode_problem(image)) or labels is None:
        return problem
    return values_problem(labels)


def values_problem(labels: np.ndarray) -> Problem | None:
    """Why the values of a mask are no object numbers but grays; None if they are."""
    found = labels_in(labels)
    edges = _only_along_edges(labels, found) if _high(found) else []
    if len(edges) >= max(2, len(found) / 2) and _high(edges):
        return Problem("anti-aliased mask", "one value per object",
                       f"{len(found)} grays, most of them only along edges (an anti-aliased mask)",
                       "export it without smoothing: every gray would be an object")
    if len(found) > MOST:
        return Problem("mask of too many values", f"one value per object, at most {MOST}",
                       f"{len(found)} values (a picture or a soft mask?)", "export a mask of 0 and object numbers")
    return None


def _high(values: list[int]) -> bool:
    return any(_HIGH < value < VOID for value in values)


def _only_along_edges(labels: np.ndarray, values: list[int]) -> list[int]:
    """The values that nowhere fill 3 x 3 pixels."""
    kernel = np.ones((3, 3), np.uint8)
    solid = areas_in(labels[cv2.erode(labels, kernel) == cv2.dilate(labels, kernel)][None])
    return [value for value in values if not solid[value]]


def given_problem(
    image: Image.Image, labels: np.ndarray | None, binary: bool = False, first: bool = False
) -> Problem | None:
    """Why an evaluation refuses a mask that is given to the network; None if it accepts it.

    Args:
        labels: the pixels of `image`; None: judge by the header alone.
        binary: every value above 0 is the one object (DAVIS 2016). first: the mask must show an object (DAVIS).
    """
    problem = mode_problem(image) if binary else label_map_problem(image, labels)
    if problem or labels is None:
        return problem
    found = set(labels_in(labels))
    if first and found == {0}:
        return Problem("first mask without object", "an object in the first mask", "only 0 (background)",
                       "paint it, or leave the sequence out with --sequences")
    if not binary and VOID in found and found <= {0, VOID}:
        return Problem("0/255 mask", "object numbers 1 to 254",
                       "only 0 and 255, which looks like the masks of DAVIS 2016",
                       "use --year 2016 (in your own data, write 1 for 255)")
    return None


def size_problem(
    size: tuple[int, ...], frame_size: tuple[int, ...], frame: Path, exact: bool = False
) -> Problem | None:
    """Why a mask does not fit its frame; sizes are (height, width).

    A mask whose aspect ratio is within 1 % of its frame's fits too, unless `exact`.
    """
    if size == frame_size or (not exact and is_rounded(size, frame_size)):
        return None
    return Problem("mask of another size", f"{in_pixels(frame_size)}, the size of its frame {frame}", in_pixels(size),
                   "make the mask as large as the frame")


def is_rounded(size: tuple[int, ...], frame_size: tuple[int, ...]) -> bool:
    """Whether two sizes (height, width) are of one aspect ratio, except for rounding."""
    return abs(size[1] / size[0] / (frame_size[1] / frame_size[0]) - 1) <= ASPECT_TOLERANCE


def read_label_map(path: Path) -> np.ndarray:
    """Decode a map of object numbers [H, W] uint8. Raises DatasetError for what `label_map_problem` finds."""
    return _warn_of_many(path, _read(path, label_map_problem))


def read_given_mask(path: Path, binary: bool = False, first: bool = False) -> np.ndarray:
    """Decode a mask that is given to the network, [H, W] uint8: 0 background, 1..254 object numbers.

    `binary`: every value above 0 becomes object 1 (DAVIS 2016); otherwise void (255) becomes background. Raises
    DatasetError for what `given_problem` finds.
    """
    labels = _read(path, partial(given_problem, binary=binary, first=first))
    if binary:
        return (labels > 0).astype(np.uint8)
    return np.where(_warn_of_many(path, labels) == VOID, 0, labels).astype(np.uint8)


def labels_at_size(labels: np.ndarray, size: tuple[int, ...], path: Path, frame: Path) -> np.ndarray:
    """A mask at the size of its frame.

    Args:
        labels: [h, w] uint8, read from `path`. size: (H, W) of the image read from `frame`.

    Returns [H, W] uint8: `labels`, or, if its size differs only by rounding (aspect ratios within 1 %), resized by
    nearest neighbor with a warning. Raises DatasetError for a mask of another shape.
    """
    if labels.shape == size:
        return labels
    if problem := size_problem(labels.shape, size, frame):
        raise problem.error(path)
    warnings.warn(f"{path}: {in_pixels(labels.shape)}, resized to its frame {frame.name}'s {in_pixels(size)}",
                  stacklevel=2)
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _read(path: Path, judge: Callable[[Image.Image, np.ndarray | None], Problem | None]) -> np.ndarray:
    image = open_image(path)
    if problem := judge(image, None):
        raise problem.error(path)
    labels = pixels_of(image)
    if problem := judge(image, labels):
        raise problem.error(path)
    return labels


def _warn_of_many(path: Path, labels: np.ndarray) -> np.ndarray:
    if (count := len(labels_in(labels))) > MANY:
        warnings.warn(f"{path}: {count - 1} objects; time and memory grow with their number", stacklevel=3)
    return labels
