"""Ways to compute a convolution. Frames are channels last before and after it; who needs another layout, converts.

`torch._nnpack_spatial_convolution` is what PyTorch itself calls on some processors. It is not public and may go.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from model.convolution.winograd import Sides, transformed_kernel, winograd, winograd_of_parts

DIRECT = "channels last"      # the algorithm that applies everywhere


@dataclass(frozen=True)
class Algorithm:
    """One way: for which convolutions, what it makes of their weights once, and how it computes.

    compute: (x [N, C, H, W], what `pack` made, bias or None, stride, zeros added on each side) -> [N, O, H', W'].
    compute_parts: the same with stride 1 for several x of any sizes, each with its own numbers of zeros; None: there is
    nothing to gain by computing several together.
    """

    applies: Callable[[nn.Conv2d], bool]
    pack: Callable[[Tensor], Tensor]
    compute: Callable[[Tensor, Tensor, Tensor | None, int, int], Tensor]
    compute_parts: Callable[[Sequence[Tensor], Tensor, Tensor | None, Sequence[Sides]], list[Tensor]] | None = None


def _direct(layout: torch.memory_format) -> Algorithm:
    """oneDNN's convolution, which follows the layout of its input."""
    def compute(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        return conv2d(x.contiguous(memory_format=layout), weight, bias, stride, padding)

    return Algorithm(lambda _: True, lambda weight: weight.contiguous(memory_format=layout), compute)


def _is_3x3_in_fp32(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (3, 3) and conv.stride == (1, 1) and conv.weight.dtype == torch.float32


def _winograd(x: Tensor, kernel: Tensor, bias: Tensor | None, _stride: int, padding: int) -> Tensor:
    return winograd(x, kernel, bias, padding)


def _is_for_nnpack(conv: nn.Conv2d) -> bool:
    available = hasattr(torch, "_nnpack_spatial_convolution") and torch.backends.nnpack.is_available()
    return available and _is_3x3_in_fp32(conv)


def _nnpack(x: Tensor, weight: Tensor, bias: Tensor | None, _stride: int, padding: int) -> Tensor:
    """NNPACK's F(6x6, 3x3), image by image: for several at once it has only slower algorithms."""
    x = x.contiguous()
    images = [torch._nnpack_spatial_convolution(image[None], weight, bias, padding, 1) for image in x]
    return images[0] if len(images) == 1 else torch.cat(images)


ALGORITHMS: Mapping[str, Algorithm] = {
    DIRECT: _direct(torch.channels_last),
    "winograd": Algorithm(_is_3x3_in_fp32, transformed_kernel, _winograd, winograd_of_parts),
    "nnpack": Algorithm(_is_for_nnpack, Tensor.contiguous, _nnpack),
    "contiguous": _direct(torch.contiguous_format),
}
