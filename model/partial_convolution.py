"""Convolutions of a part of a frame that equal those of the whole frame there.

A 3x3 convolution with zeros around the frame needs a pixel more on each side. On the sides where the part ends with the
frame, these are the frame's zeros; on the others the output loses a pixel.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn, relu
from torch.nn.functional import conv2d, pad

from model.blocks import ResidualBlock
from model.convolution.tuned import TunedConv2d
from model.shared_convolution import SharedConvolution, SharedConvolutionBlock
from model.windows import Edges, Window, enclosing


def convolve_each(conv: nn.Conv2d, parts: Sequence[Tensor], edges: Sequence[Edges]) -> list[Tensor]:
    """A 3x3 convolution of parts [B, C, H, W] with these edges; the other sides lose a pixel."""
    if isinstance(conv, TunedConv2d):
        return conv.convolve_parts(parts, edges)
    return [conv2d(pad(part, own), conv.weight, conv.bias) for part, own in zip(parts, edges, strict=True)]


def shrink(x: Tensor, pixels: int, edges: Edges) -> Tensor:
    """[..., H, W] without `pixels` on the sides that are no edges, a view."""
    left, right, top, bottom = (0 if edge else pixels for edge in edges)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def residual_block_of_parts(block: ResidualBlock, parts: Sequence[Tensor], edges: Sequence[Edges]) -> list[Tensor]:
    """The outputs of `block` for parts [B, C, H, W] with these edges; the other sides lose two pixels."""
    residuals = convolve_each(block.conv1, [relu(block.norm1(x)) for x in parts], edges)
    residuals = convolve_each(block.conv2, [relu(block.norm2(x)) for x in residuals], edges)
    skips = [shrink(x, 1, own) for x, own in zip(parts, edges, strict=True)]
    if isinstance(block.skip, nn.Conv2d):
        skips = convolve_each(block.skip, skips, edges)
    else:
        skips = [shrink(x, 1, own) for x, own in zip(skips, edges, strict=True)]
    return [skip + residual for skip, residual in zip(skips, residuals, strict=True)]


def block_of_windows(
    block: ResidualBlock | SharedConvolutionBlock, x: Tensor, shared: Tensor, windows: Sequence[tuple[int, Window]]
) -> list[Tensor]:
    """block(x, shared) in windows of objects, (number, window), with one frame's x [objects, C, h, w] and `shared`
    [1, C', h, w]: [1, O, ...] each. The block is a ResidualBlock, or one made of it by `share_convolutions`."""
    height, width = x.shape[2:]
    wide = [window.grown(2, height, width) for _, window in windows]
    edges = [each.edges(height, width) for each in wide]
    parts = [each.crop(x[number, None]) for (number, _), each in zip(windows, wide, strict=True)]
    if isinstance(block, SharedConvolutionBlock):
        results = _shared_block_of_parts(block, parts, shared, wide, edges)
    else:
        parts = [torch.cat([part, each.crop(shared)], 1) for part, each in zip(parts, wide, strict=True)]
        results = residual_block_of_parts(block, parts, edges)
    computed = [each.shrunk(2, own) for each, own in zip(wide, edges, strict=True)]
    return [window.within(region).crop(y) for (_, window), region, y in zip(windows, computed, results, strict=True)]


def _shared_block_of_parts(
    block: SharedConvolutionBlock, parts: Sequence[Tensor], shared: Tensor, windows: Sequence[Window],
    edges: Sequence[Edges],
) -> list[Tensor]:
    """The outputs of `block` for parts, which are these windows; on sides that are no edges, two pixels are lost."""
    def convolve(conv: SharedConvolution, parts: list[Tensor], shared: Tensor, lost: int) -> list[Tensor]:
        inner = [window.shrunk(lost, own) for window, own in zip(windows, edges, strict=True)]
        common = convolve_windows(conv.common, shared, inner)
        return [own + each for own, each in zip(convolve_each(conv.own, parts, edges), common, strict=True)]

    residuals = convolve(block.conv1, [relu(part) for part in parts], relu(shared), 1)
    residuals = convolve_each(block.conv2, [relu(x) for x in residuals], edges)
    skips = convolve(block.skip, [shrink(part, 1, own) for part, own in zip(parts, edges, strict=True)], shared, 2)
    return [skip + residual for skip, residual in zip(skips, residuals, strict=True)]


def convolve_windows(conv: nn.Conv2d, x: Tensor, windows: Sequence[Window]) -> list[Tensor]:
    """conv(x) in each window of a frame x [1, C, H, W]; once for all of them if that is less work."""
    height, width = x.shape[2:]
    outer = enclosing(windows)
    once = outer.area < sum(window.area for window in windows)
    wide = [window.grown(1, height, width) for window in ([outer] if once else windows)]
    edges = [each.edges(height, width) for each in wide]
    results = convolve_each(conv, [each.crop(x) for each in wide], edges)
    computed = [each.shrunk(1, own) for each, own in zip(wide, edges, strict=True)]
    if once:
        results, computed = results * len(windows), computed * len(windows)
    return [window.within(region).crop(y) for window, region, y in zip(windows, computed, results, strict=True)]
