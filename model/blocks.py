"""Building blocks: normalisation, the residual block, CBAM.

Shapes: `[B, C, H, W]` throughout.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

Edges = tuple[int, int, int, int]       # left, right, top, bottom: 1 where a part of a frame ends with it, else 0
NormFactory = Callable[[int], nn.Module]


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch norm that always uses its running statistics; scale and shift still train (STCN's training)."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        return super().train(False)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group norm with 32 groups, fewer where the width does not divide by 32: trains from scratch at any batch."""
    groups = next(groups for groups in (32, 16, 8, 4, 2, 1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels)


NORMS: dict[str, NormFactory] = {
    "frozen_batch": FrozenBatchNorm,
    "batch": nn.BatchNorm2d,
    "group": group_norm,
    "none": lambda _channels: nn.Identity(),
}


class ResidualBlock(nn.Module):
    """`skip(x) + conv2(relu(conv1(relu(x))))`, both 3x3 and no ReLU at the end (STM's block).

    `skip` is the identity, or a 3x3 convolution of x where the widths differ. `norm` (default none, as in the
    thesis) goes before each ReLU: what lets a compact variant train from scratch.

    Of a part of a frame, with the `edges` of that part, the output is what the whole frame's would be there; the sides
    that are no edges lose two pixels.

    `forward(x, shared)` is `forward` of the concatenation [x, shared]; where `share` is set, and there is no norm in
    the way, the channels that the objects of a frame share are convolved once a frame (`model.fast`).
    """

    share = False

    def __init__(self, in_channels: int, out_channels: int, norm: NormFactory = NORMS["none"]) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(in_channels), norm(out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.skip = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, shared: Tensor | None = None, edges: Edges | None = None) -> Tensor:
        """x: [B*objects, C, H, W]; shared: [B, C', H, W] or None, and then `edges` of a part or None."""
        if shared is not None and (not self.share or len(x) == len(shared)):
            x, shared = torch.cat([x, shared.repeat_interleave(len(x) // len(shared), 0)], 1), None
        if shared is None:
            residual = convolve(self.conv1, torch.relu(self.norm1(x)), edges)
            inner = shrink(x, 1, edges)
            same = isinstance(self.skip, nn.Identity)
            skipped = shrink(inner, 1, edges) if same else convolve(self.skip, inner, edges)  # type: ignore[arg-type]
        else:
            residual = _convolve_shared(self.conv1, torch.relu(x), torch.relu(shared))
            skipped = _convolve_shared(self.skip, x, shared)      # type: ignore[arg-type]   # widths differ: a convolution
        return skipped + convolve(self.conv2, torch.relu(self.norm2(residual)), edges)


def convolve(conv: nn.Conv2d, x: Tensor, edges: Edges | None = None) -> Tensor:
    """A 3x3 convolution with zeros around the frame: of the whole frame, or of a part of it with these edges, where
    each side that is no edge loses the pixel whose neighbours are not known."""
    return conv(x) if edges is None else conv2d(pad(x, edges), conv.weight, conv.bias)


def shrink(x: Tensor, pixels: int, edges: Edges | None) -> Tensor:
    """[..., H, W] without `pixels` on the sides that are no edges, a view."""
    if edges is None:
        return x
    left, right, top, bottom = (0 if edge else pixels for edge in edges)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def _convolve_shared(conv: nn.Conv2d, x: Tensor, shared: Tensor) -> Tensor:
    """conv([x, shared]), the shared channels once a frame."""
    own = conv2d(x, conv.weight[:, : x.shape[1]], padding=conv.padding)
    common = conv2d(shared, conv.weight[:, x.shape[1] :], conv.bias, padding=conv.padding)
    return (own.unflatten(0, (len(shared), -1)) + common[:, None]).flatten(0, 1)


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
