"""A convolution that chooses its algorithm by measured times."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from model.convolution.algorithms import ALGORITHMS, DIRECT, Algorithm
from model.convolution.measuring import fastest, measure
from model.convolution.timings import Timings

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
        return self.convolve([x], int(self.padding[0]))[0]

    def convolve(self, parts: Sequence[Tensor], padding: int) -> list[Tensor]:
        """The convolution of each x [N, C, H, W], with `padding` zeros on each side.

        All by the algorithm of the widest one, since it may compute them together.
        """
        name = self._choose(max(parts, key=lambda x: x.shape[3]), padding)
        algorithm = self.algorithms[name]
        if name not in self.packed:
            self.packed[name] = algorithm.pack(self.weight)
        given = self.packed[name], self.bias, self.stride[0], padding
        if len(parts) > 1 and algorithm.compute_parts is not None:
            results = algorithm.compute_parts(parts, *given)
        else:
            results = [algorithm.compute(x, *given) for x in parts]
        return [y.contiguous(memory_format=torch.channels_last) for y in results]

    def _choose(self, x: Tensor, padding: int) -> str:
        """The fastest algorithm for inputs of about the width of x; the direct one if there is little to do.

        Several images take as much longer by all algorithms, so that their number does not matter.
        """
        rows, width = ((side + 2 * padding - self.kernel_size[0]) // self.stride[0] + 1 for side in x.shape[2:])
        if 2 * self.weight.numel() * rows * width < MINIMUM:
            return DIRECT
        about = 1 << round(math.log2(width))
        if about not in self.chosen:
            self.chosen[about] = fastest(
                self.timings.get(f"{self._description()}, {about} wide", lambda: self._measure(about)))
        return self.chosen[about]

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
