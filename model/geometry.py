"""Frames and cells. A cell is a position of the network at stride 16; frames are padded to whole cells.

No PyTorch here: telemetry and its pictures need the numbers alone.
"""

from typing import TypeVar

import numpy as np

STRIDE = 16
Array = TypeVar("Array")      # a NumPy array or a PyTorch tensor


def padding(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(left, right, top, bottom) pixels that pad a frame of (H, W) to multiples of STRIDE, as `torch`'s `pad` takes
    them. Split evenly, the smaller half on the left and the top (docs/METHOD.md)."""
    down, across = (-side % STRIDE for side in size)
    return across // 2, across - across // 2, down // 2, down - down // 2


def unpad(x: Array, size: tuple[int, int]) -> Array:
    """[..., H', W'], padded -> [..., H, W], a view."""
    left, _, top, _ = padding(size)
    return x[..., top : top + size[0], left : left + size[1]]      # type: ignore[index]   # both kinds of array can


def grid_size(size: tuple[int, int]) -> tuple[int, int]:
    """(h, w) cells of a frame of (H, W) pixels."""
    return -(-size[0] // STRIDE), -(-size[1] // STRIDE)


def cells_under(shape: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The cell under each pixel of a picture of `shape` that shows a frame of `size`: [h, w] raster indices."""
    left, _, top, _ = padding(size)
    rows, columns = (
        ((np.arange(pixels) + 0.5) * side / pixels + before).astype(int) // STRIDE
        for pixels, side, before in zip(shape, size, (top, left), strict=True)
    )
    return rows[:, None] * grid_size(size)[1] + columns
