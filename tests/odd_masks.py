"""Masks of every kind, good and odd: each entry of MASKS writes one for a frame of SIZE."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dataset.masks import PALETTE, write_labels

SIZE = (48, 64)     # height, width


def square(number: int = 1, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A label map of one object."""
    labels = np.zeros(size, np.uint8)
    labels[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = number
    return labels


def smooth() -> np.ndarray:
    """A mask of 0 and 255 with soft edges, as drawing programs and bilinear resizing make them."""
    ramp = np.clip(np.arange(SIZE[1]) * 40 - 1000, 0, 255).astype(np.uint8)
    return np.tile(ramp, (SIZE[0], 1))


def picture() -> np.ndarray:
    """Grays of all kinds, none of them only along edges: a probability map, or a photograph."""
    return np.kron(np.arange(192, dtype=np.uint8).reshape(12, 16), np.ones((4, 4), np.uint8))


def values(count: int) -> np.ndarray:
    """The values 0 to `count` - 1, each in a block of 4 x 4 pixels."""
    return np.where(picture() < count, picture(), 0).astype(np.uint8)


def indexed(labels: np.ndarray, palette: np.ndarray) -> Image.Image:
    image = Image.fromarray(labels)
    image.putpalette(palette.tobytes())
    return image


def _labels(labels: np.ndarray) -> Callable[[Path], None]:
    return lambda path: write_labels(path, labels)


def _image(image: Image.Image, form: str = "PNG") -> Callable[[Path], None]:
    return lambda path: image.save(path, format=form)


def _truncated(path: Path) -> None:
    write_labels(path, picture())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


_GRAYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)

MASKS: dict[str, Callable[[Path], None]] = {
    "one object": _labels(square()),
    "a high number": _labels(square(200)),
    "several objects": _labels(values(10)),
    "void beside an object": _labels(np.maximum(square(255), np.roll(square(), 20, 1))),
    "gray": _image(Image.fromarray(square())),
    "BMP named PNG": _image(Image.fromarray(square()), "BMP"),
    "other palette": _image(indexed(square(3), np.roll(PALETTE, 7, axis=0))),
    "palette of grays": _image(indexed(square(3), _GRAYS)),
    "96 objects": _labels(values(97)),
    "100 values": _labels(values(100)),
    "101 values": _labels(values(101)),
    "192 values": _labels(picture()),
    "anti-aliased": _image(Image.fromarray(smooth())),
    "anti-aliased with a palette": _image(indexed(smooth(), PALETTE)),
    "0/255": _labels(square(255)),
    "only void": _labels(np.full(SIZE, 255, np.uint8)),
    "empty": _labels(square(0)),
    "1 bit": _image(Image.fromarray(square() > 0)),
    "16 bits": _image(Image.fromarray(square().astype(np.uint16) * 300)),
    "RGB": _image(Image.fromarray(PALETTE[square()])),
    "RGBA": _image(Image.fromarray(PALETTE[square()]).convert("RGBA")),
    "gray with transparency": _image(Image.fromarray(square()).convert("LA")),
    "float TIFF named PNG": _image(Image.fromarray(square().astype(np.float32)), "TIFF"),
    "JPEG named PNG": _image(Image.fromarray(255 * square()), "JPEG"),
    "JPEG of 0": _image(Image.fromarray(square(0)), "JPEG"),
    "twice as large": _labels(square(size=(96, 128))),
    "larger and rounded": _labels(square(size=(96, 127))),
    "another shape": _labels(square(size=(96, 64))),
    "one pixel": _labels(np.ones((1, 1), np.uint8)),
    "truncated": _truncated,
    "text": lambda path: path.write_text("no image") and None,
    "no bytes": lambda path: path.touch(),
}
