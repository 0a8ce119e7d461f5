"""Training curves of several runs in one picture, from the TensorBoard logs that train.py writes.

    python scripts/training_curves.py runs/static runs/video --output runs/curves.png
    python scripts/training_curves.py runs/plain runs/dropout --values train/cross_entropy train/learning_rate

There is a panel per value and a line per run: the mean over --smooth logged points, with the points in a pale color.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from inference.commands import command
from model import ConfigError
from scripts.arguments import CommandParser, positive

Curve = tuple[np.ndarray, np.ndarray]       # iterations, values


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    figure = Figure(figsize=(9, 3 * len(options.values)), layout="constrained")
    panels = figure.subplots(len(options.values), 1, squeeze=False, sharex=True)[:, 0]
    for run in options.runs:
        curves = read_curves(run)
        for axes, value in zip(panels, options.values, strict=True):
            if value not in curves:
                raise ConfigError(f"{run}: expected {value} in its log, found {', '.join(sorted(curves))}")
            iterations, values = curves[value]
            (line,) = axes.plot(iterations, smoothed(values, options.smooth), label=run.name)
            axes.plot(iterations, values, color=line.get_color(), alpha=0.2, linewidth=0.7)
    for axes, value in zip(panels, options.values, strict=True):
        axes.set_ylabel(value.removeprefix("train/").replace("_", " "))
        axes.grid(alpha=0.3)
    panels[0].legend()
    panels[-1].set_xlabel("iteration")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


def read_curves(run: Path) -> dict[str, Curve]:
    """Every scalar of a run's log; of values that a resumed run logged twice, the last one counts."""
    if not any((run / "log").glob("events.out.tfevents.*")):
        raise ConfigError(f"{run}: expected the folder of a training run, with log/events.out.tfevents.*")
    events = EventAccumulator(str(run / "log"), size_guidance={"scalars": 0}).Reload()
    curves = {}
    for name in events.Tags()["scalars"]:
        points = {event.step: event.value for event in events.Scalars(name)}
        steps = sorted(points)
        curves[name] = np.array(steps), np.array([points[step] for step in steps])
    return curves


def smoothed(values: np.ndarray, count: int) -> np.ndarray:
    """A moving mean over about `count` values, fewer at the ends."""
    kernel = np.ones((min(count, len(values)) - 1) // 2 * 2 + 1)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="run folders of train.py")
    parser.add_argument("--values", nargs="+", default=["train/cross_entropy", "train/iou_frame_2"],
                        help="what to draw (default: %(default)s)")
    parser.add_argument("--smooth", type=positive, default=15,
                        help="number of logged points in a mean (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/training_curves.png"),
                        help="image file (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
