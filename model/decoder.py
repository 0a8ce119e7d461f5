"""The refinement decoder: a read-out per object and the frame's features -> mask logits."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from model.blocks import Edges, NormFactory, ResidualBlock, convolve, shrink
from model.encoders import FrameFeatures
from model.window import LOST, MARGIN, OUTSIDE, Window, around


class Refine(nn.Module):
    """Upsample by two and add the frame's own features at that stride, then a residual block."""

    def __init__(self, skip_dim: int, in_dim: int, out_dim: int, norm: NormFactory) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_dim, in_dim, 3, padding=1)
        self.out_block = ResidualBlock(in_dim, out_dim, norm)

    def forward(self, x: Tensor, skip: Tensor, edges: Edges | None = None) -> Tensor:
        """x: [B*objects, C, h, w]; skip: [B, C', 2h, 2w], convolved once for all objects of a frame.

        Of a part of a frame, with its `edges`: what the whole frame's would be, less LOST pixels at the other sides.
        """
        skip = convolve(self.skip_conv, skip, edges)
        upsampled = shrink(interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), 1, edges)
        summed = upsampled.unflatten(0, (skip.shape[0], -1)) + skip[:, None]
        return self.out_block(summed.flatten(0, 1), edges=edges)


class Decoder(nn.Module):
    """Read-out [B, objects, C_v, h, w] -> logits [B, objects, 16h, 16w] (docs/METHOD.md)."""

    def __init__(
        self, value_dim: int, f8_dim: int, f4_dim: int, dims: tuple[int, int, int], norm: NormFactory
    ) -> None:
        super().__init__()
        self.compress = ResidualBlock(2 * value_dim, dims[0], norm)
        self.refine8 = Refine(f8_dim, dims[0], dims[1], norm)
        self.refine4 = Refine(f4_dim, dims[1], dims[2], norm)
        self.predict = nn.Conv2d(dims[2], 1, 3, padding=1)

    def forward(
        self, readout: Tensor, features: FrameFeatures, windows: list[list[Window]] | None = None
    ) -> Tensor:
        """`windows`: those of each object of a single frame; logits outside are OUTSIDE (None: decode everywhere)."""
        if windows is not None:
            return self._decode_windows(readout[0], features, windows)[None]
        x = self.compress(readout.flatten(0, 1), features.thin)
        x = self.refine4(self.refine8(x, features.f8), features.f4)
        return self._logits(x).unflatten(0, readout.shape[:2])

    def _logits(self, x: Tensor) -> Tensor:
        """Features [N, C, h, w] at stride 4 -> [N, 4h, 4w]."""
        logits = self.predict(torch.relu(x)).float()
        return interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)[:, 0]

    def _decode_windows(self, readout: Tensor, features: FrameFeatures, windows: list[list[Window]]) -> Tensor:
        """[objects, C_v, h, w] -> [objects, 16h, 16w], computed in the windows alone."""
        objects, _, h, w = readout.shape
        logits = readout.new_full((objects, 16 * h, 16 * w), OUTSIDE, dtype=torch.float32)
        if not any(windows):
            return logits
        outer = around([window for several in windows for window in several])
        outer = outer.grown(MARGIN + 2, h, w)                  # compress has two 3x3 convolutions
        x = self.compress(outer.crop(readout), outer.crop(features.thin))
        for own, several, target in zip(x, windows, logits, strict=True):
            parts = [self._refine_window(own[None], outer, features, window) for window in several]
            for wide, part in parts:
                wide.crop(target).copy_(part)
            for window, (wide, part) in zip(several, parts, strict=True):       # over what another's collar wrote there
                pixels = window.scaled(16)
                pixels.crop(target).copy_(pixels.within(wide).crop(part))
        return logits

    def _refine_window(
        self, x: Tensor, outer: Window, features: FrameFeatures, window: Window
    ) -> tuple[Window, Tensor]:
        """Compressed features [1, C, ...] of `outer` -> the pixels of `window` with its collar, and their logits.

        The last stage puts zeros around its part as if it were a frame: they spoil the margin, not the window, and the
        collar is had for nothing.
        """
        height, width = features.thin.shape[2:]
        wide = window.grown(MARGIN, height, width)
        edges = wide.edges(height, width)
        x = self.refine8(wide.within(outer).crop(x), wide.scaled(2).crop(features.f8), edges)
        outer = wide.scaled(2).shrunk(LOST, edges)
        wide = window.scaled(2).grown(MARGIN, 2 * height, 2 * width)
        x = self.refine4(wide.within(outer).crop(x), wide.scaled(2).crop(features.f4))
        collared = window.grown(1, height, width).scaled(16)
        return collared, collared.within(wide.scaled(8)).crop(self._logits(x)[0])
