"""Measure how long each step of scripts/quickstart.sh will take on this machine; writes and prints a table.

    python scripts/quickstart_plan.py --output runs/quickstart/expected.tsv --videos 16 --frames 40

Every step is tried for a moment: a few frames are generated, each training stage takes four iterations of its own
network, batch and crop (one of them to warm up), six frames pass through the five memory banks, and one picture is
drawn. The times are then multiplied by the numbers of frames and iterations. This takes about 15 seconds.
"""

import sys
import time

_STARTED = time.perf_counter()

from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.utils.data import Dataset

import train
from dataset.davis import davis_sequences
from dataset.files import write_text
from dataset.synthetic import make_davis, make_static
from inference.ablation.ablation_report import runs_of
from inference.ablation.data import DavisData
from inference.ablation.lockstep import Ablation
from inference.ablation.settings import settings_of
from inference.commands import command
from inference.device import device_of
from inference.memory import MemoryOptions
from inference.report.html_page import html_page
from inference.report.page import Pictured, write_page
from inference.run.folder import RunFolder
from inference.runtime import RuntimeOptions, load_for
from inference.views import ViewOptions
from model.config import to_mapping
from model.network import STCN
from model.processes import Processes
from model.training.trainer import Trainer
from scripts.arguments import CommandParser

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SIZE = (192, 320)                                   # of make_synthetic.py
BANKS: dict[str, tuple[Any, ...]] = {"memory": ("every_k", "first_and_latest", "lfu"), "memory_frames": (1, 2, 4)}
PICTURES = 3                                        # of scripts/report.py
_LOADING = time.perf_counter() - _STARTED           # what importing PyTorch and the rest takes each command


@dataclass
class Noise(Dataset[dict[str, Any]]):
    """Random training samples; `asked` holds the times at which each batch began."""

    crop: int
    objects: int
    batch_size: int
    asked: list[float] = field(default_factory=list)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index % self.batch_size == 0:
            self.asked.append(time.perf_counter())
        return {
            "frames": torch.randint(0, 256, (3, 3, self.crop, self.crop), dtype=torch.uint8),
            "labels": torch.randint(0, self.objects + 1, (3, self.crop, self.crop)),
            "num_objects": self.objects, "index": index, "gap": 5,
        }


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        steps = expected(options, Path(scratch))
    write_text(options.output, "".join(f"{name}\t{seconds:.0f}\n" for name, seconds in steps.items()))
    print("Expected on this machine, if nothing else runs on it:")
    for name, seconds in {**steps, "together": sum(steps.values())}.items():
        print(f"  {name:12} {seconds:4.0f} s")


def expected(options: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """Seconds of each step, by its name in scripts/quickstart.sh."""
    clips, evaluated = 2 * (options.videos + options.videos // 4), max(1, options.videos // 4)
    frame = seconds(lambda: make_davis(scratch / "DAVIS", {"val": 1}, 6, SIZE, progress=False)) / 6
    image = seconds(lambda: make_static(scratch / "static", 3, SIZE, progress=False)) / 3
    with contextlib.redirect_stderr(io.StringIO()):                 # progress bars
        stages = {name: stage(name, scratch / name, options.device) for name in ("static", "video")}
        banks, report = evaluation(scratch, options.device)
    area = options.size[0] * options.size[1] / (SIZE[0] * SIZE[1])
    return {
        "picture": _LOADING + area * options.frames * (frame + banks["lfu"]),
        "data": clips * options.frames * frame + 10 * options.videos * image,
        **{name: _LOADING + taken for name, taken in stages.items()},
        "evaluation": _LOADING + evaluated * options.frames * banks["together"],
        "report": _LOADING + PICTURES * report,
    }


def stage(name: str, output: Path, device: str) -> float:
    """Seconds of a training stage: its iterations times the seconds of one, of which two are timed."""
    config = train.read_config(CONFIGS / f"quickstart_{name}.yaml", ["training.workers=0"])
    samples = Noise(config.data.crop, config.network.mask_channels, config.training.batch_size)
    few = replace(config.training, iterations=4)
    Trainer(
        STCN(config.network), samples, few, config.objective, output, device_of(device), to_mapping(config)
    ).run()
    return config.training.iterations * (samples.asked[3] - samples.asked[1]) / 2


def evaluation(scratch: Path, device: str) -> tuple[dict[str, float], float]:
    """Seconds of a frame with LFU, and with all banks and their scoring; seconds of a report with one picture."""
    runtime = RuntimeOptions(device=device)
    settings = settings_of({**BANKS, "memory_every": (5,), "top_k": (20,)})[0]
    settings = [MemoryOptions(**vars(setting)) for setting in settings]
    network = load_for(runtime, "compact")
    folder = RunFolder(scratch / "banks", {"command": "ablate", "year": 2017, "split": "val"}, {})
    data = DavisData(davis_sequences(scratch / "DAVIS", 2017, "val", "480p", None))
    ablation = Ablation(settings, network, runtime, ViewOptions(), folder, data, masks=True)
    records = ablation.run(Processes.of_evaluation())
    (record,) = records.values()
    runs = runs_of(ablation, records)
    output = scratch / "report.md"

    def report() -> None:
        write_page(runs, output, "Plan", Pictured(scratch / "DAVIS", count=1))
        html_page(output.read_text(encoding="utf-8"), scratch, runs)

    frames = runs[0].totals["frames"]
    return {"lfu": 1 / runs[-1].totals["fps"], "together": record.passes[0].wall_seconds / frames}, seconds(report)


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="FILE", help="step and seconds, separated by a tab, line by line")
    add("--videos", type=int, required=True, metavar="N", help="as for scripts/make_synthetic.py")
    add("--frames", type=int, required=True, metavar="N", help="as for scripts/make_synthetic.py")
    add("--size", type=int, nargs=2, default=SIZE, metavar=("H", "W"), help="of the first picture's clip")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n (default: auto)")
    return parser


if __name__ == "__main__":
    main()
