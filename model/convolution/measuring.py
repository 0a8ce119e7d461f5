"""Which algorithm is the fastest for a convolution, and gives its result."""

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from model.convolution.algorithms import DIRECT, Algorithm
from model.convolution.timings import Seconds

RUNS = 3              # at least, of which the fastest counts ...
SECONDS = 0.05        # ... and at least for so long: short ones suffer from other programs
TOLERANCE = 1e-3      # of the largest result: an algorithm that differs by more from the direct one is refused
GAIN = 1.05           # by which another algorithm has to be faster than the direct one
HOPELESS = 2          # times the fastest so far: an algorithm that slow is not run again


def fastest(seconds: Seconds) -> str:
    """The algorithm with the least time; the direct one if it is nearly as fast. seconds: of `measure`."""
    times = {name: spent for name, spent in seconds.items() if spent is not None}
    best = min(times, key=lambda name: times[name])
    return DIRECT if times.get(DIRECT, math.inf) <= GAIN * times[best] else best


@torch.inference_mode()
def measure(
    conv: nn.Conv2d, algorithms: Mapping[str, Algorithm], size: tuple[int, int]
) -> dict[str, float | None]:
    """The seconds that each algorithm takes for an image of this size (H, W), from channels last to channels last; None
    if its result is another one. `algorithms` begins with the direct one."""
    generator, padding = torch.Generator().manual_seed(0), int(conv.padding[0])
    x = torch.randn(1, conv.in_channels, *size, generator=generator).to(conv.weight.dtype)
    x = x.contiguous(memory_format=torch.channels_last)
    seconds: dict[str, float | None] = {}
    expected: Tensor | None = None
    for name, algorithm in algorithms.items():
        packed = algorithm.pack(conv.weight)

        def compute(algorithm: Algorithm = algorithm, packed: Tensor = packed) -> Tensor:
            y = algorithm.compute(x, packed, conv.bias, conv.stride[0], padding)
            return y.contiguous(memory_format=torch.channels_last)

        best = min((spent for spent in seconds.values() if spent), default=math.inf)
        spent, result = time_of(compute, HOPELESS * best)
        expected = result if expected is None else expected
        seconds[name] = spent if _agree(result, expected) else None
    return seconds


def _agree(result: Tensor, expected: Tensor) -> bool:
    """Whether a result is the expected one up to TOLERANCE, or the rounding of half precision."""
    if result.shape != expected.shape:
        return False
    tolerance = max(TOLERANCE, 4 * torch.finfo(expected.dtype).eps)
    return bool((result.float() - expected.float()).abs().max() <= tolerance * expected.float().abs().max())


def time_of(call: Callable[[], Tensor], limit: float = math.inf) -> tuple[float, Tensor]:
    """The seconds of the fastest call, or of the first ones if they take more than `limit`; and the result."""
    spent: list[float] = []
    while (len(spent) < RUNS or sum(spent) < SECONDS) and min(spent, default=0) <= limit:
        started = time.perf_counter()
        result = call()
        spent.append(time.perf_counter() - started)
    return min(spent), result
