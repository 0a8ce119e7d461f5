"""Sequence-consistent augmentation: one warp and one color matrix per frame, image and mask together.

Every geometric step (flip, scale, affine, resize, crop) is a 3x3 matrix; their product is applied in a single
resampling. Every color step (brightness, contrast, saturation, hue, gray) is affine in RGB; their product is
a single 3x4 matrix. Ranges: those of STCN.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dataset import thin_plate

Matrix = NDArray[np.float64]

FILL = (124, 116, 104)                                     # ImageNet mean, RGB: what warped-in borders show
_LUMA = np.array([0.299, 0.587, 0.114])
_GRAY_PROBABILITY = 0.05


@dataclass(frozen=True)
class ClipRequest:
    """What a clip of any source must be like."""

    crop: int                   # pixels, both sides
    max_gap: int = 5            # largest gap between its frames, in video frames
    max_objects: int = 2
    thin_plate: float = 0.0     # probability that a frame is warped by a thin-plate spline (still images only)
    area: tuple[float, float] = (0.36, 1.0)     # share of a video frame that its crop shows
    skip_small: bool = False    # choose no object that is small in the clip's first frame but not later
    frames: int = 3
    photometric: float = 1.0    # factor on the ranges of all color changes


@dataclass(frozen=True)
class Jitter:
    """Half-ranges of color changes: factors in 1 ± x; hue in ± x turns."""

    brightness: float
    contrast: float
    saturation: float
    hue: float

    def times(self, strength: float) -> "Jitter":
        """All half-ranges times `strength`."""
        return Jitter(*(strength * x for x in (self.brightness, self.contrast, self.saturation, self.hue)))


STATIC_IMAGE, STATIC_FRAME = Jitter(0.1, 0.05, 0.05, 0.05), Jitter(0.1, 0.05, 0.05, 0.0)
VIDEO_CLIP, VIDEO_FRAME = Jitter(0.1, 0.03, 0.03, 0.0), Jitter(0.01, 0.01, 0.01, 0.0)


def static_warps(size: tuple[int, int], crop: int, frames: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Warps of `frames` copies of one image of `size` (height, width) to crop x crop.

    Per image: scale 0.8-1.5, flip. Per copy: 20 degrees, scale 0.9-1.1, shear 10 degrees, shorter side to
    `crop`, random crop.
    """
    height, width = size
    common = _about_center(_scale(rng.uniform(0.8, 1.5)) @ _flip(rng), size)
    resize = crop / min(height, width)
    warps = []
    for _ in range(frames):
        affine = _about_center(_affine(rng, degrees=20, shear=10, scale=(0.9, 1.1)), size)
        left = rng.uniform(0, max(0.0, width * resize - crop))     # rounding may make the shorter side slightly smaller
        top = rng.uniform(0, max(0.0, height * resize - crop))
        warps.append(_translate(-left, -top) @ _scale(resize) @ affine @ common)
    return warps


def video_warps(
    size: tuple[int, int], crop: int, frames: int, rng: np.random.Generator,
    area: tuple[float, float] = ClipRequest.area,
) -> list[np.ndarray]:
    """Warps of the frames of one clip of `size` (height, width) to crop x crop.

    Per clip: flip, resized crop of a share of the area in `area`. Per frame: 15 degrees, shear 10 degrees.
    """
    height, width = size
    box_height, box_width = _box(height, width, area, rng)
    left, top = rng.uniform(0, width - box_width), rng.uniform(0, height - box_height)
    resize = np.diag([crop / box_width, crop / box_height, 1.0])
    common = resize @ _translate(-left, -top) @ _about_center(_flip(rng), size)
    return [_about_center(_affine(rng, degrees=15, shear=10), (crop, crop)) @ common for _ in range(frames)]


def warp(
    image: np.ndarray, labels: np.ndarray, matrix: np.ndarray, crop: int, shifts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Apply a warp to an image [H, W, 3] (bilinear) and its labels [H, W] (nearest) -> [crop, crop, ...].

    `shifts` [crop, crop, 2], if given, also bends the output, in the same resampling (`dataset.thin_plate`).
    """
    labels = _resample(labels, matrix, crop, shifts, cv2.INTER_NEAREST)
    shrink = 1 / math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    if shrink >= 2:        # bilinear sampling would skip pixels, so they are averaged first
        factor = 1 / int(shrink)
        before = image.shape
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([before[1] / image.shape[1], before[0] / image.shape[0], 1.0])
    return _resample(image, matrix, crop, shifts, cv2.INTER_LINEAR, FILL), labels


def recolor(
    images: Sequence[np.ndarray], clip: Jitter, frame: Jitter, rng: np.random.Generator, strength: float = 1.0
) -> list[np.ndarray]:
    """Change colors: `clip` (and gray, 5 %) is drawn once for all images, `frame` once per image. [H, W, 3] uint8.

    `strength` is a factor on all half-ranges; the probability of gray does not depend on it.
    """
    clip, frame = clip.times(strength), frame.times(strength)
    shared, gray = _draw(clip, rng), rng.random() < _GRAY_PROBABILITY
    result = []
    for image in images:
        mean = np.array(cv2.mean(image)[:3])
        matrix = _jitter_matrix(_draw(frame, rng), _jitter_matrix(shared, np.eye(4), mean), mean)
        if gray:
            matrix = _mix(0.0) @ matrix
        result.append(cv2.transform(image, matrix[:3]))
    return result


def _resample(
    picture: np.ndarray, matrix: np.ndarray, crop: int, shifts: np.ndarray | None, interpolation: int,
    fill: tuple[int, ...] = (0,),
) -> np.ndarray:
    if shifts is None:
        return cv2.warpAffine(picture, matrix[:2], (crop, crop), flags=interpolation, borderValue=fill)
    return cv2.remap(picture, *thin_plate.maps(matrix, shifts), interpolation, borderValue=fill)


def _draw(jitter: Jitter, rng: np.random.Generator) -> tuple[float, float, float, float]:
    brightness, contrast, saturation = (
        rng.uniform(1 - x, 1 + x) for x in (jitter.brightness, jitter.contrast, jitter.saturation)
    )
    return brightness, contrast, saturation, rng.uniform(-jitter.hue, jitter.hue)


def _jitter_matrix(draw: tuple[float, float, float, float], matrix: Matrix, mean: np.ndarray) -> Matrix:
    """Append brightness, contrast (about the image's mean gray), saturation and hue to a 4x4 color matrix."""
    brightness, contrast, saturation, hue = draw
    matrix = np.diag([brightness] * 3 + [1.0]) @ matrix
    gray = _LUMA @ (matrix @ np.append(mean, 1.0))[:3]
    matrix = np.diag([contrast] * 3 + [1.0]) @ matrix
    matrix[:3, 3] += (1 - contrast) * gray
    return _rotate_hue(hue) @ _mix(saturation) @ matrix


def _mix(saturation: float) -> Matrix:
    """saturation * color + (1 - saturation) * its luma."""
    matrix = np.eye(4)
    matrix[:3, :3] = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    return matrix


def _rotate_hue(turns: float) -> Matrix:
    """Rotate colors about the gray axis (Rodrigues' formula): a linear stand-in for a shift of HSV's hue."""
    angle, axis = 2 * math.pi * turns, np.ones(3) / math.sqrt(3)
    cross = np.cross(np.eye(3), axis)
    matrix = np.eye(4)
    matrix[:3, :3] += math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)
    return matrix


def _affine(
    rng: np.random.Generator, degrees: float, shear: float, scale: tuple[float, float] = (1.0, 1.0)
) -> Matrix:
    """Random rotation, horizontal shear and scale about the origin."""
    angle, slant = np.deg2rad(rng.uniform(-degrees, degrees)), np.deg2rad(rng.uniform(-shear, shear))
    factor = rng.uniform(*scale)
    cos, sin = math.cos(angle), math.sin(angle)
    rotation: Matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    slanted: Matrix = np.array([[1, math.tan(slant), 0], [0, 1, 0], [0, 0, 1]])
    return rotation @ slanted @ _scale(factor)


def _box(height: int, width: int, share: tuple[float, float], rng: np.random.Generator) -> tuple[float, float]:
    """(height, width) of a random crop: `share` of the area, aspect ratio 3/4 to 4/3, inside the frame."""
    for _ in range(10):
        area, ratio = height * width * rng.uniform(*share), math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        box_height, box_width = math.sqrt(area / ratio), math.sqrt(area * ratio)
        if box_height <= height and box_width <= width:
            return box_height, box_width
    return min(height, width * 4 / 3), min(width, height * 4 / 3)


def _flip(rng: np.random.Generator) -> Matrix:
    return np.diag([-1.0 if rng.random() < 0.5 else 1.0, 1.0, 1.0])


def _scale(factor: float) -> Matrix:
    return np.diag([factor, factor, 1.0])


def _translate(x: float, y: float) -> Matrix:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _about_center(matrix: Matrix, size: tuple[int, int]) -> Matrix:
    y, x = (size[0] - 1) / 2, (size[1] - 1) / 2
    return _translate(x, y) @ matrix @ _translate(-x, -y)
