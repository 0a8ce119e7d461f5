"""The two encoders: keys from a frame alone, values from a frame, an object's mask and the key features.

Both begin with a backbone cut after its stride-16 stage (`model.backbones`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.backbones import Backbone, make_trunk
from model.blocks import CBAM, NormFactory, ResidualBlock


@dataclass
class FrameFeatures:
    """The key encoder's output for a batch of frames; h, w are H/16, W/16."""

    key: Tensor    # [B, C_k, h, w]
    thin: Tensor   # [B, C_v, h, w]    f16 reduced for the decoder
    f16: Tensor    # [B, 1024, h, w]   (of ResNet-50; `model.backbones.WIDTHS`)
    f8: Tensor     # [B, 512, 2h, 2w]
    f4: Tensor     # [B, 256, 4h, 4w]


class KeyEncoder(nn.Module):
    """Frame -> FrameFeatures. Independent of objects, masks and memory (docs/METHOD.md)."""

    def __init__(self, backbone: Backbone, key_dim: int, value_dim: int, norm: NormFactory) -> None:
        super().__init__()
        self.trunk = make_trunk(backbone, 3, norm)
        width = self.trunk.widths[-1]
        self.key_projection = nn.Conv2d(width, key_dim, 3, padding=1)
        self.thin_projection = nn.Conv2d(width, value_dim, 3, padding=1)
        nn.init.orthogonal_(self.key_projection.weight)
        self.key_projection.bias = nn.Parameter(torch.zeros(key_dim))

    def forward(self, frame: Tensor) -> FrameFeatures:
        f4, f8, f16 = self.trunk(frame)
        with torch.autocast(f16.device.type, enabled=False):       # squared distances lose too much in half precision
            key = self.key_projection(f16.to(self.key_projection.weight.dtype))
        return FrameFeatures(key, self.thin_projection(f16), f16, f8, f4)


class ValueEncoder(nn.Module):
    """Frame + masks + the key encoder's f16 -> the value of each object.

    Args of forward:
        frame: [B, 3, H, W] normalized; f16: [B, C, h, w] of the same frames;
        masks: [B, objects, H, W] soft-aggregated probabilities (an annotation consists of 0 and 1);
        others: for each of them, the sum of the masks of all other objects; None: there are no more objects.
    Returns [B, objects, C_v, h, w].
    """

    def __init__(
        self, backbone: Backbone, mask_channels: int, f16_dim: int, value_dim: int, cbam: bool,
        norm: NormFactory, block_norm: NormFactory,
    ) -> None:
        super().__init__()
        self.mask_channels = mask_channels
        self.trunk = make_trunk(backbone, 3 + mask_channels, norm)
        self.fuse1 = ResidualBlock(self.trunk.widths[-1] + f16_dim, value_dim, block_norm)
        self.cbam = CBAM(value_dim) if cbam else None
        self.fuse2 = ResidualBlock(value_dim, value_dim, block_norm)

    def forward(self, frame: Tensor, f16: Tensor, masks: Tensor, others: Tensor | None = None) -> Tensor:
        objects = masks.shape[1]
        own = masks.flatten(0, 1)[:, None].to(frame.dtype)                  # [B*objects, 1, H, W]
        inputs = [_per_object(frame, objects), own]
        if self.mask_channels == 2:
            others = sum_of_others(masks) if others is None else others
            inputs.append(others.flatten(0, 1)[:, None].to(frame.dtype))
        _, _, value16 = self.trunk(torch.cat(inputs, 1))
        x = self.fuse1(value16, f16)
        if self.cbam is not None:
            x = x + self.cbam(x)
        return self.fuse2(x).unflatten(0, (-1, objects))


def sum_of_others(masks: Tensor) -> Tensor:
    """Of each mask [B, objects, H, W], the sum of all other masks."""
    return masks.sum(1, keepdim=True) - masks if masks.shape[1] > 1 else torch.zeros_like(masks)


def _per_object(x: Tensor, objects: int) -> Tensor:
    """[B, C, H, W] -> [B*objects, C, H, W], each frame repeated for its objects."""
    return x.repeat_interleave(objects, 0) if objects > 1 else x
