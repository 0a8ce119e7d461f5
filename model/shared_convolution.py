"""A residual block that convolves what the objects of a frame have in common once per frame."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from model.blocks import ResidualBlock


class SharedConvolutionBlock(nn.Module):
    """What `block` computes, up to rounding, with its weights. See `share_convolutions`.

    A convolution of the concatenation [x, shared] is the sum of a convolution of x and one of `shared`. The second is
    the same for all objects of a frame.
    """

    def __init__(self, block: ResidualBlock, skip: nn.Conv2d) -> None:
        super().__init__()
        self.conv1, self.conv2, self.skip = block.conv1, block.conv2, skip

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """x: [B*objects, C, H, W]; shared: [B, C', H, W]."""
        if len(x) == len(shared):
            both = torch.cat([x, shared], 1)
            residual, skipped = self.conv1(torch.relu(both)), self.skip(both)
        else:
            residual = _convolve(self.conv1, torch.relu(x), torch.relu(shared))
            skipped = _convolve(self.skip, x, shared)
        return skipped + self.conv2(torch.relu(residual))


def share_convolutions(block: ResidualBlock) -> nn.Module:
    """A SharedConvolutionBlock, or `block` itself if a norm before its convolutions or an identity skip prevents it."""
    if isinstance(block.norm1, nn.Identity) and isinstance(block.skip, nn.Conv2d):
        return SharedConvolutionBlock(block, block.skip)
    return block


def _convolve(conv: nn.Conv2d, x: Tensor, shared: Tensor) -> Tensor:
    """conv([x, shared]), the shared channels once per frame."""
    own = conv2d(x, conv.weight[:, : x.shape[1]], padding=conv.padding)
    common = conv2d(shared, conv.weight[:, x.shape[1] :], conv.bias, padding=conv.padding)
    return (own.unflatten(0, (len(shared), -1)) + common[:, None]).flatten(0, 1)
