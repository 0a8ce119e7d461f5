"""Timing that can be trusted on a noisy machine: warm-up, several runs, medians; pairs measured in turn."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from model.convolution.timings import processor
from model.precision import native_bf16


@dataclass
class Measurement:
    """One line of a benchmark: a name and its times in seconds."""

    section: str
    name: str
    median: float
    fastest: float
    slowest: float
    runs: int
    notes: Mapping[str, float | str] = field(default_factory=dict)

    def line(self) -> str:
        notes = "  ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
                          for key, value in self.notes.items())
        return (f"{self.section:8} {self.name:34} {_seconds(self.median)}  ({_seconds(self.fastest).strip()} to "
                f"{_seconds(self.slowest).strip()}, {self.runs} runs)  {notes}")


def measure_in_turn(
    section: str, candidates: Mapping[str, Callable[[], object]], runs: int, warmup: int = 1, alone: bool = False
) -> dict[str, Measurement]:
    """Time the candidates A B C A B C ..., so that a drift of the machine's speed affects all of them equally.

    `alone`: A A B B ..., of which every second call is timed, so that no candidate pays for the caches and pages that
    another one left.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warmup + runs):
        for name, call in candidates.items():
            if alone:
                call()
            synchronize()
            started = time.perf_counter()
            call()
            synchronize()
            if turn >= warmup:
                seconds[name].append(time.perf_counter() - started)
    return {
        name: Measurement(section, name, statistics.median(times), min(times), max(times), runs)
        for name, times in seconds.items()
    }


def ratio(slow: Measurement, fast: Measurement) -> float:
    """How many times as fast `fast` is, by medians."""
    return slow.median / fast.median


def precisions(device: torch.device) -> tuple[str, ...]:
    """Those worth measuring: bf16 only where it is computed natively, since emulated it takes ten times as long."""
    return ("fp32", "bf16") if native_bf16(device) else ("fp32",)


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def reset_peak() -> None:
    """Reset the peak of GPU memory."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_mib() -> float:
    """Peak of GPU memory since `reset_peak`; 0 without a GPU."""
    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0


def machine() -> dict[str, str | int]:
    """The machine and versions that the numbers depend on."""
    return {
        "cpu": processor(), "cores": os.cpu_count() or 1, "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "python": platform.python_version(), "torch": torch.__version__, "date": time.strftime("%Y-%m-%d"),
    }


def _seconds(value: float) -> str:
    return f"{1000 * value:8.1f} ms" if value < 1 else f"{value:8.2f} s "
