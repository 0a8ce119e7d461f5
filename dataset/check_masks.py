"""The data doctor's judgment of one mask, which depends on what evaluation and training do with it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.errors import Problem
from dataset.findings import Finding, Severity, finding_of
from dataset.label_maps import MANY, given_problem, label_map_problem, size_problem, values_problem
from dataset.listed_videos import Labels, MaskRole
from dataset.masks import VOID, labels_in, mode_problem, pixels_of

Values = tuple[int, ...] | None     # above 0, of a mask; None: not known
Judged = list[tuple[Severity, Problem]]


def check_mask(
    path: Path, frame: Path | None, frame_size: tuple[int, int] | None, labels: Labels, role: MaskRole, fast: bool
) -> tuple[Values, list[Finding]]:
    """Judge one mask.

    Args:
        frame, frame_size: the frame of the mask and its (height, width), if they are known.
        labels, role: content of the masks of its `Video`, and what evaluation does with this one.
        fast: judge by the header alone.

    Returns its values above 0 and the findings. Raises what Pillow raises for files that cannot be read.
    """
    judged: Judged = []
    with Image.open(path) as image:
        if frame and frame_size:
            judged += _size(image, frame, frame_size, exact=role == "scored")
        if labels == "static":
            values, found = _still_image(image, fast)
        elif labels == "instances":
            values, found = _instances(image, fast)
        else:
            values, found = _video_mask(image, labels == "binary", role, fast)
    return values, [finding_of(severity, path, problem) for severity, problem in judged + found]


def _size(image: Image.Image, frame: Path, frame_size: tuple[int, int], exact: bool) -> Judged:
    """A size that differs by rounding is a warning, but an error in a mask that results are compared with."""
    size = (image.height, image.width)
    if problem := size_problem(size, frame_size, frame, exact):
        return [("error", problem)]
    if problem := size_problem(size, frame_size, frame, exact=True):
        return [("warning", replace(problem, remedy="it is resized by nearest neighbor; better restore the pair"))]
    return []


def _video_mask(image: Image.Image, binary: bool, role: MaskRole, fast: bool) -> tuple[Values, Judged]:
    """Every reader refuses a mask of another mode. Other problems are errors only in masks that are given."""
    if problem := mode_problem(image):
        return None, [("error", problem)]
    pixels = None if fast else pixels_of(image)
    values = None if pixels is None else _above_zero(pixels)
    if problem := given_problem(image, pixels, binary, first=role == "first"):
        return values, [("error" if role in ("first", "given") else "warning", problem)]
    return values, [] if pixels is None else _doubts(pixels, binary)


def _doubts(pixels: np.ndarray, binary: bool) -> Judged:
    """What readers accept but may be a mistake."""
    values = _above_zero(pixels)
    if not values:
        return [("warning", Problem("empty mask", "an object", "only 0 (background)",
                                    "right if all objects are hidden here"))]
    if binary and (problem := values_problem(pixels)):
        return [("warning", replace(problem, remedy="every value above 0 counts as the object; cut the mask at 128"))]
    if binary and values not in ((1,), (VOID,)):
        return [("warning", Problem(
            "object numbers in a mask of 2016", "one object, 0/255", f"labels {', '.join(map(str, values[:8]))}",
            "these look like masks of DAVIS 2017, which are read as one object but differ from those of 2016"))]
    if not binary and len(values) >= MANY:
        return [("warning", Problem("many objects", f"fewer than {MANY} objects", str(len(values)),
                                    "right if there are so many; time and memory grow with their number"))]
    return []


def _still_image(image: Image.Image, fast: bool) -> tuple[Values, Judged]:
    """Training cuts the mask of a still image at half of its maximum; of a color mask, the brightest channel."""
    colored = image.mode in ("RGB", "RGBA")
    if not colored and (problem := mode_problem(image)):
        return None, [("error", problem)]
    if fast:
        return None, []
    judged: Judged = []
    pixels = pixels_of(image)
    if colored:
        channels, pixels = pixels[..., :3], pixels[..., :3].max(2)
        gray = bool((channels == channels[..., :1]).all())
        judged.append(("note" if gray else "error", Problem(
            "RGB mask", "an 8-bit gray PNG", f"mode {image.mode}",
            "it is read correctly" if gray else "its channels differ: check whether it is a mask at all")))
    if not pixels.any():
        judged.append(("error", Problem("empty mask", "one object", "only 0 (background)", "remove the pair")))
    elif problem := values_problem(pixels):
        judged.append(("note", replace(problem, remedy="it is cut at half of its maximum")))
    return _above_zero(pixels), judged


def _instances(image: Image.Image, fast: bool) -> tuple[Values, Judged]:
    """Training numbers the objects of a still image that the mask shows; void is background."""
    if problem := mode_problem(image):
        return None, [("error", problem)]
    if fast:
        return None, []
    pixels = pixels_of(image)
    values = _above_zero(pixels)
    if not set(values) - {VOID}:
        found = "only 0 and 255" if values else "only 0 (background)"
        return values, [("error", Problem("mask without instances", "object numbers 1 to 254", found,
                                          "remove the pair; masks of one object are those of layout folders"))]
    problem = label_map_problem(image, pixels)
    return values, [("error", problem)] if problem else []


def _above_zero(pixels: np.ndarray) -> tuple[int, ...]:
    return tuple(value for value in labels_in(pixels) if value)
