"""A residual block that convolves what the objects of a frame have in common once per frame."""

import torch
from torch import Tensor, nn

from model.blocks import ResidualBlock


class SharedConvolution(nn.Module):
    """conv([x, shared]) as the sum of a convolution of x and one of `shared`, which is the same for all objects.

    Args:
        conv: a convolution with a bias. own: how many of its input channels x has.
    """

    def __init__(self, conv: nn.Conv2d, own: int) -> None:
        super().__init__()
        self.own, self.common = _slice(conv, slice(own), False), _slice(conv, slice(own, None), True)

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """x: [B*objects, C, H, W]; shared: [B, C', H, W]."""
        own, common = self.own(x), self.common(shared)
        if len(own) == len(common):
            return own + common
        return (own.unflatten(0, (len(common), -1)) + common[:, None]).flatten(0, 1)


class SharedConvolutionBlock(nn.Module):
    """What `block` computes, up to rounding, with its weights. See `share_convolutions`."""

    def __init__(self, block: ResidualBlock, skip: nn.Conv2d, own: int) -> None:
        super().__init__()
        self.conv1, self.skip = SharedConvolution(block.conv1, own), SharedConvolution(skip, own)
        self.conv2 = block.conv2

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """x: [B*objects, C, H, W]; shared: [B, C', H, W]."""
        residual = self.conv1(torch.relu(x), torch.relu(shared))
        return self.skip(x, shared) + self.conv2(torch.relu(residual))


def share_convolutions(block: ResidualBlock, own: int) -> nn.Module:
    """A SharedConvolutionBlock, or `block` itself if a norm before its convolutions or an identity skip prevents it.

    own: how many channels x has; the others are shared.
    """
    if isinstance(block.norm1, nn.Identity) and isinstance(block.skip, nn.Conv2d):
        return SharedConvolutionBlock(block, block.skip, own)
    return block


def _slice(conv: nn.Conv2d, channels: slice, bias: bool) -> nn.Conv2d:
    """The part of a convolution that sees these input channels."""
    weight = conv.weight[:, channels]
    part = nn.Conv2d(weight.shape[1], conv.out_channels, 3, padding=1, bias=bias, device="meta")
    part.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    if bias:
        part.bias = conv.bias
    return part
