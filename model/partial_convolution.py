"""Convolutions of a part of a frame that equal those of the whole frame there.

A 3x3 convolution with zeros around the frame needs a pixel more on each side. On the sides where the part ends with the
frame, these are the frame's zeros; on the others the output loses a pixel.
"""

from torch import Tensor, nn, relu
from torch.nn.functional import conv2d, pad

from model.blocks import ResidualBlock
from model.convolution.tuned import TunedConv2d
from model.windows import Edges, Window, enclosing


def convolve_part(conv: nn.Conv2d, part: Tensor, edges: Edges) -> Tensor:
    """A 3x3 convolution of a part [B, C, H, W] with these edges; the other sides lose a pixel."""
    padded = pad(part, edges)
    if isinstance(conv, TunedConv2d):
        return conv.convolve(padded, padding=0)
    return conv2d(padded, conv.weight, conv.bias)


def shrink(x: Tensor, pixels: int, edges: Edges) -> Tensor:
    """[..., H, W] without `pixels` on the sides that are no edges, a view."""
    left, right, top, bottom = (0 if edge else pixels for edge in edges)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def residual_block_of_part(block: ResidualBlock, x: Tensor, edges: Edges) -> Tensor:
    """The output of `block` for a part x [B, C, H, W] with these edges; the other sides lose two pixels."""
    residual = convolve_part(block.conv1, relu(block.norm1(x)), edges)
    inner = shrink(x, 1, edges)
    skip = block.skip
    skipped = convolve_part(skip, inner, edges) if isinstance(skip, nn.Conv2d) else shrink(inner, 1, edges)
    return skipped + convolve_part(block.conv2, relu(block.norm2(residual)), edges)


def convolve_parts(conv: nn.Conv2d, x: Tensor, parts: list[Window]) -> list[Tensor]:
    """conv(x) in each part of a frame x [1, C, H, W]; once for all of them if that is less work."""
    height, width = x.shape[2:]
    outer = enclosing(parts)
    regions = [outer] if outer.area < sum(part.area for part in parts) else parts
    computed = []
    for region in regions:
        wide = region.grown(1, height, width)
        edges = wide.edges(height, width)
        computed.append((wide.shrunk(1, edges), convolve_part(conv, wide.crop(x), edges)))
    if len(regions) < len(parts):
        computed *= len(parts)
    return [part.within(region).crop(y) for part, (region, y) in zip(parts, computed, strict=True)]
