"""Where an object can be: windows of stride-16 cells, so that the decoder's fine stages run only there.

The decoder is local. Inside a window that is decoded with MARGIN cells of surroundings the logits are those of the
whole frame; outside it they are OUTSIDE, which is background.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

MARGIN = 4          # cells; the receptive field of the refinement stages and of the bilinear steps: 56 of 64 pixels
OUTSIDE = -30.0     # logit of a pixel that is not decoded
EVIDENCE = 0.05     # propagated soft mask from which on a cell may hold the object
GROWTH = 2          # cells by which those are grown
WHOLE = 0.8         # share of the frame from which on a window is not worth its margins


@dataclass(frozen=True)
class Window:
    """Cells top..bottom, left..right (the ends excluded)."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def grown(self, cells: int, height: int, width: int) -> "Window":
        """With `cells` more on each side, inside a frame of height x width cells."""
        return Window(
            max(0, self.top - cells), min(height, self.bottom + cells),
            max(0, self.left - cells), min(width, self.right + cells),
        )

    def crop(self, x: Tensor, scale: int = 1) -> Tensor:
        """The window of [..., H, W] features that have `scale` pixels a cell."""
        return x[..., self.top * scale : self.bottom * scale, self.left * scale : self.right * scale]

    def within(self, outer: "Window") -> "Window":
        """The same window, counted from the corner of `outer`."""
        return Window(
            self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left
        )


def windows_of(evidence: Tensor) -> list[Window | None]:
    """A window per object from its evidence [objects, h, w] in [0, 1]; None where there is none of it.

    A window that would cover most of the frame, margins included, is the whole frame.
    """
    height, width = evidence.shape[1:]
    grown = max_pool2d(evidence[None].float(), 2 * GROWTH + 1, 1, GROWTH)[0] >= EVIDENCE
    rows, columns = grown.any(2).cpu(), grown.any(1).cpu()
    windows: list[Window | None] = []
    for row, column in zip(rows, columns, strict=True):
        y, x = (torch.nonzero(line).flatten().tolist() for line in (row, column))
        window = Window(y[0], y[-1] + 1, x[0], x[-1] + 1) if y else None
        if window and window.grown(MARGIN, height, width).area >= WHOLE * height * width:
            window = Window(0, height, 0, width)
        windows.append(window)
    return windows
