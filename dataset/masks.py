"""Label maps: the DAVIS palette, reading and writing indexed PNGs, overlays.

A label map is `[H, W]` uint8: 0 is background, 1..254 are object numbers, 255 is void in ground truth.
"""

import io
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dataset.errors import Problem
from dataset.files import atomic_write
from dataset.image_files import open_image
from dataset.jpeg_files import read_jpeg

VOID = 255
_COLORED = 22   # the DAVIS palette colors this many entries; the rest are grays (i, i, i)


def _davis_palette() -> np.ndarray:
    """The palette of the DAVIS 2017 annotations, `[256, 3]` uint8.

    The bits of an index, from the lowest, go to R, G, B in turn, from their highest bit down (the Pascal VOC rule).
    """
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for index in range(_COLORED):
        palette[index] = [
            sum(((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)
        ]
    return palette


PALETTE = _davis_palette()


def read_image(path: Path) -> np.ndarray:
    """Decode an image file, whatever its suffix. Returns RGB `[H, W, 3]` uint8; raises DatasetError."""
    if (pixels := read_jpeg(path)) is not None:
        return pixels
    image = open_image(path)
    if image.mode.startswith("I"):      # grays of 16 bits: Pillow would clip them to 255, which is white
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def read_labels(path: Path) -> np.ndarray:
    """Decode an indexed or 8-bit gray image. Returns its values `[H, W]` uint8; raises DatasetError.

    `dataset.label_maps` also checks that the values are object numbers.
    """
    image = open_image(path)
    if problem := mode_problem(image):
        raise problem.error(path)
    return pixels_of(image)


def mode_problem(image: Image.Image) -> Problem | None:
    """Why the mode of an image is none of a mask (indexed, 8-bit gray, black and white); None if it is one."""
    if image.mode in ("P", "L", "1"):
        return None
    kind = "RGB mask" if image.mode in ("RGB", "RGBA") else "mask of another mode"
    return Problem(kind, "an indexed or 8-bit gray PNG whose pixel values are object numbers", f"mode {image.mode}",
                   "save it as an indexed PNG (docs/VIDEO.md turns colors into numbers)")


def pixels_of(image: Image.Image) -> np.ndarray:
    """The values of an image without a mode problem, `[H, W]` uint8; black and white are 0 and 255."""
    return np.asarray(image.convert("L") if image.mode == "1" else image)


def in_pixels(shape: tuple[int, ...]) -> str:
    """(height, width, ...) as messages show it: "854x480 pixels"."""
    return f"{shape[1]}x{shape[0]} pixels"


def labels_in(labels: np.ndarray) -> list[int]:
    """The values that occur in a [H, W] uint8 label map, ascending; several times as fast as np.unique."""
    return np.flatnonzero(areas_in(labels)).tolist()


def areas_in(labels: np.ndarray) -> np.ndarray:
    """How many pixels of a [H, W] uint8 label map have each value, [256] int."""
    return cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256]).ravel().astype(np.int64)


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write `[H, W]` uint8 as an indexed PNG with the DAVIS palette, atomically."""
    image = Image.fromarray(labels.astype(np.uint8, copy=False))
    image.putpalette(PALETTE.tobytes())
    # regions are runs of one value: looking for no other repetitions takes a third of the time and as many bytes
    write_image(path, image, compress_level=1, compress_type=zlib.Z_RLE)


def write_image(path: Path, image: "Image.Image | np.ndarray", **options: object) -> None:
    """Write a PIL image or an RGB array in the format of the path's suffix, atomically."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    encoded = io.BytesIO()       # first to memory: errors of Pillow's own writing say little
    image.save(encoded, format=Image.registered_extensions()[path.suffix.lower()], **options)
    with atomic_write(path) as partial:
        partial.write_bytes(encoded.getbuffer())


def overlay(image: np.ndarray, labels: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Blend the colors of the palette over the objects and draw their outlines. All `[H, W, ...]` uint8."""
    colored = PALETTE[labels].astype(np.float32)
    inside = (labels > 0)[..., None]
    blended = np.where(inside, (1 - opacity) * image + opacity * colored, image)
    outline = np.zeros(labels.shape, bool)
    outline[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    outline[:-1] |= labels[:-1] != labels[1:]
    blended[outline] = 255
    return blended.astype(np.uint8)
