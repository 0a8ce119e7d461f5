"""A convolution that chooses its algorithm by measured times."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from model.convolution.algorithms import ALGORITHMS, DIRECT, Algorithm
from model.convolution.measuring import fastest, measure
from model.convolution.timings import Timings
from model.convolution.winograd import Sides

MINIMUM = 1e9         # operations on an image from which a choice is worth measuring
SAMPLE = 1e9          # operations that are timed: some rows of the image are enough ...
SAMPLE_ROWS = 30      # ... but at least these, since NNPACK transforms its weights at every call


class TunedConv2d(nn.Conv2d):
    """A convolution whose results are channels last. Made by `tuned`."""

    timings: Timings
    algorithms: Mapping[str, Algorithm]
    chosen: dict[int, str]                # about this width -> name of the algorithm
    packed: dict[str, Tensor]             # name of an algorithm in use -> its form of the weights

    def forward(self, x: Tensor) -> Tensor:
        padding = int(self.padding[0])
        rows, width = ((side + 2 * padding - self.kernel_size[0]) // self.stride[0] + 1 for side in x.shape[2:])
        algorithm, packed = self._choose(rows, width)
        y = algorithm.compute(x, packed, self.bias, self.stride[0], padding)
        return y.contiguous(memory_format=torch.channels_last)

    def convolve_parts(self, parts: Sequence[Tensor], zeros: Sequence[Sides]) -> list[Tensor]:
        """The 3x3 convolution of each x [N, C, H, W] with so many zeros on its sides, by the algorithm of the widest.

        The results may be parts of larger tensors.
        """
        sizes = [(x.shape[3] + left + right - 2, x.shape[2] + top + bottom - 2)
                 for x, (left, right, top, bottom) in zip(parts, zeros, strict=True)]
        width, rows = max(sizes)
        algorithm, packed = self._choose(rows, width)
        if algorithm.compute_parts is not None:
            return algorithm.compute_parts(parts, packed, self.bias, zeros)
        return [algorithm.compute(pad(x, own), packed, self.bias, 1, 0) for x, own in zip(parts, zeros, strict=True)]

    def _choose(self, rows: int, width: int) -> tuple[Algorithm, Tensor]:
        """The fastest algorithm for results of about this width, with its weights; the direct one if there is little to
        do.

        Several images take as much longer by all algorithms, so that their number does not matter.
        """
        name = DIRECT
        if 2 * self.weight.numel() * rows * width >= MINIMUM:
            about = 1 << round(math.log2(width))
            if about not in self.chosen:
                self.chosen[about] = fastest(
                    self.timings.get(f"{self._description()}, {about} wide", lambda: self._measure(about)))
            name = self.chosen[about]
        if name not in self.packed:
            self.packed[name] = self.algorithms[name].pack(self.weight)
        return self.algorithms[name], self.packed[name]

    def _measure(self, width: int) -> dict[str, float | None]:
        rows = max(SAMPLE_ROWS, math.ceil(SAMPLE / (2 * self.weight.numel() * width)))
        return measure(self, self.algorithms, (rows * self.stride[0], width * self.stride[0]))

    def _description(self) -> str:
        kind = str(self.weight.dtype).removeprefix("torch.")
        stride = f" stride {self.stride[0]}" if self.stride[0] > 1 else ""
        return f"{kind} {self.kernel_size[0]}x{self.kernel_size[1]}{stride}, {self.in_channels} to {self.out_channels}"


def tuned(
    conv: nn.Conv2d, timings: Timings, algorithms: Mapping[str, Algorithm] = ALGORITHMS
) -> TunedConv2d:
    """A convolution with the weights of `conv`, by the fastest of the algorithms that apply to it."""
    made = TunedConv2d.__new__(TunedConv2d)
    made.__dict__.update(conv.__dict__)
    made.timings, made.chosen, made.packed = timings, {}, {}
    made.algorithms = {name: each for name, each in algorithms.items() if each.applies(conv)}
    return made


def tune_convolutions(module: nn.Module, timings: Timings) -> None:
    """Replace all convolutions inside a module by tuned ones, except depthwise ones: the algorithms have no groups."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d) and child.groups == 1:
                setattr(parent, name, tuned(child, timings))


def algorithms_in_use(module: nn.Module) -> dict[str, int]:
    """Name -> how many convolutions use it, counted for each width, of those that are large enough to be tuned."""
    convolutions = (each for each in module.modules() if isinstance(each, TunedConv2d))
    return dict(Counter(name for conv in convolutions for name in conv.chosen.values()))
