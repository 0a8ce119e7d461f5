"""Where an object can be: windows of stride-16 cells, so that the decoder runs only there.

The decoder is local. Each stage gets as much of a window's surroundings as its receptive field reaches, so that the
logits inside are those of the whole frame. In a collar of one cell around it they are what the last stage makes of less
surroundings; beyond that they are OUTSIDE, which is background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from model.blocks import Edges

LOST = 3            # pixels of its output that a refinement stage loses around a part of a frame: 3x3 convolutions
MARGIN = 3          # pixels around a window that it needs of its input to leave as many around the window of its output
OUTSIDE = -30.0     # logit of a pixel that is not decoded
EVIDENCE = 0.005    # propagated soft mask from which on a cell may hold the object ...
STRONG = 0.03       # ... if some cell connected with it reaches this
AROUND = 2          # cells of margin around a window that are computed as well, stages averaged
CALLS = 10          # cells that could be decoded in the time it takes to start one window more
WHOLE = 0.8         # share of the frame from which on windows are not worth their margins


@dataclass(frozen=True)
class Window:
    """Rows top to bottom, columns left to right (the ends excluded), in pixels at one stride."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def grown(self, pixels: int, height: int, width: int) -> "Window":
        """With `pixels` more on each side, inside a frame of height x width."""
        return Window(
            max(0, self.top - pixels), min(height, self.bottom + pixels),
            max(0, self.left - pixels), min(width, self.right + pixels),
        )

    def edges(self, height: int, width: int) -> Edges:
        """The sides at which it ends with a frame of height x width."""
        return int(self.left == 0), int(self.right == width), int(self.top == 0), int(self.bottom == height)

    def shrunk(self, pixels: int, edges: Edges) -> "Window":
        """Without `pixels` on the sides that are no edges."""
        left, right, top, bottom = (0 if edge else pixels for edge in edges)
        return Window(self.top + top, self.bottom - bottom, self.left + left, self.right - right)

    def scaled(self, factor: int) -> "Window":
        """The same window at a stride `factor` times finer."""
        return Window(self.top * factor, self.bottom * factor, self.left * factor, self.right * factor)

    def crop(self, x: Tensor) -> Tensor:
        """The window of [..., H, W], a view."""
        return x[..., self.top : self.bottom, self.left : self.right]

    def within(self, outer: "Window") -> "Window":
        """The same window, counted from the corner of `outer`."""
        return Window(
            self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left
        )


def around(windows: Sequence[Window]) -> Window:
    """The smallest window that holds them all."""
    return Window(
        min(window.top for window in windows), max(window.bottom for window in windows),
        min(window.left for window in windows), max(window.right for window in windows),
    )


def windows_of(evidence: Tensor) -> list[list[Window]] | None:
    """The windows of each object from its evidence [objects, h, w] in [0, 1]; None where the whole frame is cheaper.

    An object has no window where there is no evidence of it, and one for each connected region of evidence where it
    costs less than the regions together.
    """
    height, width = evidence.shape[1:]
    windows = [_merge(_regions(each), height, width) for each in evidence.float().cpu().numpy()]
    cost = sum(_cost(window, height, width) for several in windows for window in several)
    return None if cost >= WHOLE * evidence.numel() else windows


def _regions(evidence: np.ndarray) -> list[Window]:
    """The bounding boxes of the connected regions of evidence [h, w] that are strong somewhere."""
    cells = (evidence >= EVIDENCE).astype(np.uint8)
    _, region, boxes, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    strong = np.unique(region[evidence >= STRONG])
    return [Window(y, y + h, x, x + w) for x, y, w, h, _ in boxes[strong].tolist()]


def _merge(windows: list[Window], height: int, width: int) -> list[Window]:
    """Replace two windows by the one around them, again and again, where that is cheapest, as long as it is cheaper."""
    def saving(pair: tuple[Window, Window]) -> int:
        return CALLS - _cost(around(pair), height, width) + sum(_cost(window, height, width) for window in pair)

    while len(windows) > 1:
        best = max(((a, b) for i, a in enumerate(windows) for b in windows[:i]), key=saving)
        if saving(best) <= 0:
            break
        windows = [window for window in windows if window not in best] + [around(best)]
    return windows


def _cost(window: Window, height: int, width: int) -> int:
    """Cells to decode."""
    return window.grown(AROUND, height, width).area
