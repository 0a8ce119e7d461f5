"""The refinement decoder: a read-out per object and the frame's features -> mask logits."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from model.blocks import NormFactory, ResidualBlock
from model.encoders import FrameFeatures
from model.window import MARGIN, OUTSIDE, Window


class Refine(nn.Module):
    """Upsample by two and add the frame's own features at that stride, then a residual block."""

    def __init__(self, skip_dim: int, in_dim: int, out_dim: int, norm: NormFactory) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_dim, in_dim, 3, padding=1)
        self.out_block = ResidualBlock(in_dim, out_dim, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x: [B*objects, C, h, w]; skip: [B, C', 2h, 2w], convolved once for all objects of a frame."""
        skip = self.skip_conv(skip)
        upsampled = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        summed = upsampled.unflatten(0, (skip.shape[0], -1)) + skip[:, None]
        return self.out_block(summed.flatten(0, 1))


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
        self, readout: Tensor, features: FrameFeatures, windows: list[Window | None] | None = None
    ) -> Tensor:
        """`windows`: one per object of a single frame; logits outside are OUTSIDE (None: decode everywhere)."""
        x = self.compress(readout.flatten(0, 1), features.thin)
        if windows is None:
            logits = self._refine(x, features.f8, features.f4)
        else:
            logits = torch.stack([self._refine_window(x[i : i + 1], features, w) for i, w in enumerate(windows)])
        return logits.unflatten(0, readout.shape[:2])

    def _refine(self, x: Tensor, f8: Tensor, f4: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, 16h, 16w]"""
        x = self.refine4(self.refine8(x, f8), f4)
        logits = self.predict(torch.relu(x)).float()
        return interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)[:, 0]

    def _refine_window(self, x: Tensor, features: FrameFeatures, window: Window | None) -> Tensor:
        """[1, C, h, w] -> [16h, 16w], computed in the window alone."""
        height, width = x.shape[2:]
        logits = torch.full((16 * height, 16 * width), OUTSIDE, device=x.device)
        if window is not None:
            outer = window.grown(MARGIN, height, width)
            part = self._refine(outer.crop(x), outer.crop(features.f8, 2), outer.crop(features.f4, 4))[0]
            window.crop(logits, 16).copy_(window.within(outer).crop(part, 16))
        return logits
