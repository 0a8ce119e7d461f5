"""Label maps: the DAVIS palette, reading and writing indexed PNGs, overlays.

A label map is `[H, W]` uint8: 0 is background, 1..254 are object numbers, 255 is void in ground truth.
"""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from dataset.errors import DatasetError
from dataset.files import whole

VOID = 255
ASPECT_TOLERANCE = 0.01     # masks whose aspect ratio is this close to their frame's were rounded, not mixed up
_MANY, _MOST = 50, 100      # objects: time and memory grow with their number; more are greys of a picture
_HIGH = 64      # greys above this that occur on edges alone were drawn by smoothing, not numbered
_COLOURED = 22   # the DAVIS palette colours this many entries; the rest are greys (i, i, i)


def _davis_palette() -> np.ndarray:
    """The palette of the DAVIS 2017 annotations, `[256, 3]` uint8.

    The bits of an index, lowest first, are dealt to R, G, B from their highest bit down (the Pascal VOC rule).
    """
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for index in range(_COLOURED):
        palette[index] = [
            sum(((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)
        ]
    return palette


PALETTE = _davis_palette()


def read_image(path: Path) -> np.ndarray:
    """Decode an image file, whatever its suffix says. Returns RGB `[H, W, 3]` uint8; raises DatasetError."""
    image = _open(path)
    if image.mode.startswith("I"):      # greys of 16 bits: Pillow would cut them at 255, which is white
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    return np.asarray(image.convert("RGB"))


def read_labels(path: Path) -> np.ndarray:
    """Decode a label map: an indexed or 8-bit grey image. Returns `[H, W]` uint8; raises DatasetError."""
    image = _open(path)
    if image.mode == "1":
        image = image.convert("L")
    if image.mode not in ("P", "L"):
        raise DatasetError(
            f"{path}: expected an indexed or 8-bit grey PNG whose pixel values are object numbers, "
            f"found mode {image.mode}; save it as an indexed PNG (docs/VIDEO.md turns colours into numbers)"
        )
    return np.asarray(image)


def read_label_map(path: Path) -> np.ndarray:
    """As `read_labels`; raises DatasetError also for images that look like masks but hold greys, not object numbers."""
    if _is_jpeg(path):
        raise DatasetError(f"{path}: expected a PNG whose pixel values are object numbers, found a JPEG, which blurs "
                           "them; export the mask as a PNG")
    labels = read_labels(path)
    found = labels_in(labels)
    kernel = np.ones((3, 3), np.uint8)
    solid = np.bincount(labels[cv2.erode(labels, kernel) == cv2.dilate(labels, kernel)], minlength=VOID + 1)
    edges = [value for value in found if not solid[value]]         # nowhere 3 x 3 pixels
    if len(edges) >= max(2, len(found) / 2) and any(_HIGH < value < VOID for value in edges):
        raise DatasetError(f"{path}: expected a value per object, found {len(found)} greys, most of them only along "
                           "edges (an anti-aliased mask); export it without smoothing: every grey would be an object")
    if len(found) > _MOST:
        raise DatasetError(f"{path}: expected a value per object, {_MOST} at most, found {len(found)} values (a "
                           "picture or a soft mask?); export a mask of 0 and object numbers")
    if len(found) > _MANY:
        warnings.warn(f"{path}: {len(found) - 1} objects; time and memory grow with their number", stacklevel=2)
    return labels


def labels_at_size(labels: np.ndarray, size: tuple[int, int], path: Path, frame: Path) -> np.ndarray:
    """The mask at its frame's size.

    Args:
        labels: [h, w] uint8, read from `path`. size: (H, W) of the image read from `frame`.

    Returns [H, W] uint8: `labels`, or, where only rounding differs (aspect ratios within 1 %), resized by nearest
    neighbour with a warning. Raises DatasetError for a mask of another shape.
    """
    if labels.shape == size:
        return labels
    ratio = (labels.shape[1] / labels.shape[0]) / (size[1] / size[0])
    if abs(ratio - 1) > ASPECT_TOLERANCE:
        raise DatasetError(f"{path}: expected {in_pixels(size)}, the size of its frame {frame}, found "
                           f"{in_pixels(labels.shape)}; make the mask as large as the frame")
    warnings.warn(f"{path}: {in_pixels(labels.shape)}, resized to its frame {frame.name}'s {in_pixels(size)}",
                  stacklevel=2)
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def in_pixels(shape: tuple[int, ...]) -> str:
    """(height, width, ...) as messages show it: "854x480 pixels"."""
    return f"{shape[1]}x{shape[0]} pixels"


def labels_in(labels: np.ndarray) -> list[int]:
    """The values that occur in a [H, W] uint8 label map, ascending; several times as fast as np.unique."""
    return np.flatnonzero(cv2.calcHist([np.ascontiguousarray(labels)], [0], None, [256], [0, 256])).tolist()


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write `[H, W]` uint8 as an indexed PNG with the DAVIS palette; the file appears whole or not at all."""
    image = Image.fromarray(labels.astype(np.uint8, copy=False))
    image.putpalette(PALETTE.tobytes())
    write_image(path, image)


def write_image(path: Path, image: "Image.Image | np.ndarray", **options: object) -> None:
    """Write a PIL image or an RGB array in the format of the path's suffix, atomically."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    encoded = io.BytesIO()       # first to memory: Pillow's own writing says little of what went wrong
    image.save(encoded, format=Image.registered_extensions()[path.suffix.lower()], **options)
    with whole(path) as partial:
        partial.write_bytes(encoded.getbuffer())


def overlay(image: np.ndarray, labels: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Blend the palette's colours over objects and draw their outlines. All `[H, W, ...]` uint8."""
    coloured = PALETTE[labels].astype(np.float32)
    inside = (labels > 0)[..., None]
    blended = np.where(inside, (1 - opacity) * image + opacity * coloured, image)
    outline = np.zeros(labels.shape, bool)
    outline[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    outline[:-1] |= labels[:-1] != labels[1:]
    blended[outline] = 255
    return blended.astype(np.uint8)


def _is_jpeg(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.format in ("JPEG", "MPO")
    except (OSError, UnidentifiedImageError):
        return False        # reading it says what is wrong


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
        return image
    except FileNotFoundError:
        raise DatasetError(f"{path}: expected an image, found no such file") from None
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path}: expected a readable image, found a damaged or foreign file ({error}); "
                           "restore it from where it came, or save it again") from None
