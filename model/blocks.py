"""Building blocks: norms, the residual block, CBAM.

Shapes: `[B, C, H, W]` throughout.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

NormFactory = Callable[[int], nn.Module]


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm that always uses its running statistics; scale and shift still train (STCN's training)."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        return super().train(False)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups, or fewer if the width does not divide by 32: trains from scratch at any batch size."""
    groups = next(groups for groups in (32, 16, 8, 4, 2, 1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels)


NORMS: dict[str, NormFactory] = {
    "frozen_batch": FrozenBatchNorm,
    "batch": nn.BatchNorm2d,
    "group": group_norm,
    "none": lambda _channels: nn.Identity(),
}


class ResidualBlock(nn.Module):
    """`skip(x) + conv2(relu(conv1(relu(x))))`, both 3x3, without a ReLU at the end (STM's block).

    `skip` is the identity, or a 3x3 convolution of x if the widths differ. `norm` (default none, as in the thesis) is
    applied before each ReLU: a compact variant needs it to train from scratch.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: NormFactory = NORMS["none"]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(in_channels), norm(out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, shared: Tensor | None = None) -> Tensor:
        """x: [B*objects, C, H, W]; shared: [B, C', H, W] that the objects of a frame have in common, concatenated to
        each, or None."""
        if shared is not None:
            x = torch.cat([x, shared.repeat_interleave(len(x) // len(shared), 0)], 1)
        residual = self.conv1(torch.relu(self.norm1(x)))
        return self.skip(x) + self.conv2(torch.relu(self.norm2(residual)))


class CBAM(nn.Module):
    """Convolutional block attention (Woo et al. 2018): a channel gate, then a spatial gate, without norms."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.channel_mlp = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.spatial_conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.channel_mlp(x.mean((2, 3))) + self.channel_mlp(x.amax((2, 3)))
        x = x * torch.sigmoid(pooled)[:, :, None, None]
        extremes = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.spatial_conv(extremes))
