"""The refinement decoder: a read-out per object and the frame's features -> mask logits."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from model.blocks import NormFactory, ResidualBlock
from model.encoders import FrameFeatures
from model.precision import at_least_float32


class Refine(nn.Module):
    """Upsample by two and add the frame's own features at that stride, then a residual block."""

    def __init__(self, skip_dim: int, in_dim: int, out_dim: int, norm: NormFactory) -> None:
        super().__init__()
        self.skip_conv = nn.Conv2d(skip_dim, in_dim, 3, padding=1)
        self.out_block = ResidualBlock(in_dim, out_dim, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x: [B*objects, C, h, w]; skip: [B, C', 2h, 2w], convolved once for all objects of a frame."""
        skip = self.skip_conv(skip)
        summed = upsample(x, 2).unflatten(0, (len(skip), -1)) + skip[:, None]
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

    def forward(self, readout: Tensor, features: FrameFeatures) -> Tensor:
        x = self.compress(readout.flatten(0, 1), features.thin)
        x = self.refine8(x, features.f8)
        x = self.refine4(x, features.f4)
        return self.logits(x).unflatten(0, readout.shape[:2])

    def logits(self, x: Tensor) -> Tensor:
        """Features [N, C, h, w] at stride 4 -> [N, 4h, 4w]."""
        return upsample(at_least_float32(self.predict(torch.relu(x))), 4)[:, 0]


def upsample(x: Tensor, factor: int) -> Tensor:
    return interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
