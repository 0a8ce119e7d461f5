"""The refinement decoder: a read-out per object and the frame's features -> mask logits."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from model.blocks import Edges, NormFactory, ResidualBlock, convolve, shrink
from model.encoders import FrameFeatures
from model.precision import at_least_float32
from model.windows import LOST, MARGIN, OUTSIDE, Window, around


class Refine(nn.Module):
    """Upsample by two and add the frame's own features at that stride, then a residual block."""

    def __init__(self, skip_dim: int, in_dim: int, out_dim: int, norm: NormFactory) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_dim, in_dim, 3, padding=1)
        self.out_block = ResidualBlock(in_dim, out_dim, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x: [B*objects, C, h, w]; skip: [B, C', 2h, 2w], convolved once for all objects of a frame."""
        return self.merge(x, self.skip_conv(skip))

    def merge(self, x: Tensor, skip: Tensor, edges: Edges | None = None) -> Tensor:
        """`forward` with the skip convolved already. Of a part x of a frame, with its `edges`: what the whole frame's
        would be, less LOST pixels at the other sides, of which one was lost in `skip`."""
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
        logits = at_least_float32(self.predict(torch.relu(x)))
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
        flat = [(number, window) for number, several in enumerate(windows) for window in several]
        parts = self._refine_windows(x, outer, features, flat)
        for (number, _), (wide, part) in zip(flat, parts, strict=True):
            wide.crop(logits[number]).copy_(part)
        for (number, window), (wide, part) in zip(flat, parts, strict=True):    # over what another's collar wrote there
            pixels = window.scaled(16)
            pixels.crop(logits[number]).copy_(pixels.within(wide).crop(part))
        return logits

    def _refine_windows(
        self, x: Tensor, outer: Window, features: FrameFeatures, windows: list[tuple[int, Window]]
    ) -> list[tuple[Window, Tensor]]:
        """Compressed features [objects, C, ...] of `outer` -> the pixels of each object's window with its collar, and
        their logits.

        The last stage puts zeros around its part as if it were a frame: they spoil the margin, not the window, and the
        collar is had for nothing.
        """
        height, width = features.thin.shape[2:]
        wide8 = [window.grown(MARGIN, height, width) for _, window in windows]
        edges = [wide.edges(height, width) for wide in wide8]
        wide4 = [window.scaled(2).grown(MARGIN, 2 * height, 2 * width) for _, window in windows]
        skips8 = convolve_parts(
            self.refine8.skip_conv, features.f8, [w.scaled(2).shrunk(1, e) for w, e in zip(wide8, edges, strict=True)]
        )
        skips4 = convolve_parts(self.refine4.skip_conv, features.f4, [wide.scaled(2) for wide in wide4])
        parts = []
        for i, (number, window) in enumerate(windows):
            own = self.refine8.merge(wide8[i].within(outer).crop(x[number, None]), skips8[i], edges[i])
            inner = wide8[i].scaled(2).shrunk(LOST, edges[i])
            own = self.refine4.merge(wide4[i].within(inner).crop(own), skips4[i])
            collared = window.grown(1, height, width).scaled(16)
            parts.append((collared, collared.within(wide4[i].scaled(8)).crop(self._logits(own)[0])))
        return parts


def convolve_parts(conv: nn.Conv2d, x: Tensor, parts: list[Window]) -> list[Tensor]:
    """conv(x) in each part of a frame x [1, C, H, W], once for all of them where that is less work."""
    height, width = x.shape[2:]
    outer = around(parts)
    regions = [outer] if outer.area < sum(part.area for part in parts) else parts
    computed = []
    for region in regions:
        wide = region.grown(1, height, width)
        edges = wide.edges(height, width)
        computed.append((wide.shrunk(1, edges), convolve(conv, wide.crop(x), edges)))
    if len(regions) < len(parts):
        computed *= len(parts)
    return [part.within(region).crop(y) for part, (region, y) in zip(parts, computed, strict=True)]
