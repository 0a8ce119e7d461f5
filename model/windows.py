"""Where an object can be: windows of cells, so that the decoder runs only there (`model.window_decoder`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

EVIDENCE = 0.005        # propagated soft mask from which a cell may show the object ...
STRONG = 0.03           # ... if some cell connected with it reaches this value
MARGIN_COST = 2         # cells around a window that are computed as well, as a mean over the stages
WINDOW_COST = 10        # cells that could be decoded in the time that one more window takes to start
LARGEST_SHARE = 0.8     # of the frame: from here on windows are not worth their margins

Edges = tuple[int, int, int, int]       # left, right, top, bottom: 1 if a part of a frame ends with it there, else 0


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
        """The sides on which it ends with a frame of height x width."""
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

    def contains(self, inner: "Window") -> bool:
        return inner == Window(
            max(self.top, inner.top), min(self.bottom, inner.bottom),
            max(self.left, inner.left), min(self.right, inner.right),
        )

    def within(self, outer: "Window") -> "Window":
        """The same window, counted from the corner of `outer`."""
        return Window(
            self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left
        )


def enclosing(windows: Sequence[Window]) -> Window:
    """The smallest window that contains them all."""
    return Window(
        min(window.top for window in windows), max(window.bottom for window in windows),
        min(window.left for window in windows), max(window.right for window in windows),
    )


def find_windows(evidence: Tensor, largest_share: float = LARGEST_SHARE) -> list[list[Window]] | None:
    """The windows of each object from its evidence [objects, h, w] in [0, 1]; None if they cover this share of the
    frame, counted for each object: then the whole frame is cheaper.

    An object without evidence has no window. Otherwise it has one for each connected region of evidence, except that
    regions share a window if that costs less.
    """
    height, width = evidence.shape[1:]
    windows = [merged(_regions(each), height, width) for each in evidence.float().cpu().numpy()]
    cost = sum(cost_of(window, height, width) for several in windows for window in several)
    return None if cost >= largest_share * evidence.numel() else windows


def _regions(evidence: np.ndarray) -> list[Window]:
    """The bounding boxes of the connected regions of evidence [h, w] that are strong somewhere."""
    cells = (evidence >= EVIDENCE).astype(np.uint8)
    _, region, boxes, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    strong = np.unique(region[evidence >= STRONG])
    return [Window(y, y + h, x, x + w) for x, y, w, h, _ in boxes[strong].tolist()]


def merged(windows: list[Window], height: int, width: int) -> list[Window]:
    """Windows of one object, two replaced by the one that encloses them as long as that saves work, the largest saving
    first."""
    def saving(pair: tuple[Window, Window]) -> int:
        apart = WINDOW_COST + sum(cost_of(window, height, width) for window in pair)
        return apart - cost_of(enclosing(pair), height, width)

    while len(windows) > 1:
        best = max(((a, b) for i, a in enumerate(windows) for b in windows[:i]), key=saving)
        if saving(best) <= 0:
            break
        windows = [window for window in windows if window not in best] + [enclosing(best)]
    return windows


def cost_of(window: Window, height: int, width: int) -> int:
    """Cells to decode, margins included."""
    return window.grown(MARGIN_COST, height, width).area
