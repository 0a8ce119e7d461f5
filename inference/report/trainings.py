"""Banks over several trainings of one recipe, and recipes against each other: means over trainings and sequences.

A training is a folder of scripts/ablate.py: several banks with the weights of that training.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset.errors import DatasetError
from inference.report.intervals import interval_over_trainings, paired_interval
from inference.report.pictures import pyplot
from inference.report.runs import read_runs
from inference.report.tables import Table, percent, points

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Trainings:
    """Trainings of one recipe, with the same banks over the same sequences."""

    names: list[str]                # of their folders
    sequences: list[str]
    scores: dict[str, Scores]       # bank -> [trainings, sequences], the main score (J&F), in [0, 1]


def read_trainings(folders: Sequence[Path], like: Trainings | None = None) -> Trainings:
    """The trainings in these folders. like: trainings of another recipe, whose banks and sequences they have to have,
    and whose number: they are paired in their order.

    Raises DatasetError for a folder without scored banks, and for other banks or sequences than those of the first.
    """
    if like is not None and len(folders) != len(like.names):
        raise DatasetError(f"{', '.join(map(str, folders))}: expected a training for each of {', '.join(like.names)}, "
                           f"found {len(folders)}; give {len(like.names)}")
    sequences = like.sequences if like else []
    banks: dict[str, list[list[float]]] = {bank: [] for bank in like.scores} if like else {}
    for folder in folders:
        runs = {run.title: run for run in read_runs([folder]) if run.per_sequence}
        banks = banks or {title: [] for title in runs}
        _check(folder, "banks", banks, runs)
        for title, run in runs.items():
            sequences = sequences or list(run.per_sequence)
            _check(folder, "sequences", sequences, run.per_sequence)
            banks[title].append([run.per_sequence[name][run.columns[0]] for name in sequences])
    names = [folder.resolve().name for folder in folders]
    return Trainings(names, sequences, {bank: np.array(rows) for bank, rows in banks.items()})


def bank_table(trainings: Trainings, references: Sequence[str]) -> Table:
    """A row per bank: the mean of each training, of all, and the differences from the reference banks."""
    header = ["memory bank", *trainings.names, "mean", *(f"minus {bank}" for bank in references)]
    rows = [
        [bank, *map(percent, scores.mean(1)), percent(scores.mean()),
         *(_difference(scores - trainings.scores[other]) if other != bank else "" for other in references)]
        for bank, scores in trainings.scores.items()
    ]
    return Table("banks", header, rows, "Banks (J&F)")


def recipe_table(trainings: Trainings, others: dict[str, Trainings]) -> Table:
    """A row per bank: the mean over the trainings, and over those of each other recipe, with the difference."""
    header = ["memory bank", "mean", *(column for name in others for column in (name, "difference"))]
    rows = [
        [bank, percent(scores.mean()), *(
            text for other in others.values()
            for text in (percent(other.scores[bank].mean()), _difference(other.scores[bank] - scores)))]
        for bank, scores in trainings.scores.items()
    ]
    return Table("recipes", header, rows, "Recipes (J&F)")


def curve_table(trainings: Trainings, reference: str) -> Table:
    """A row per checkpoint of one training: the mean of each bank, and its difference from the reference bank."""
    others = [bank for bank in trainings.scores if bank != reference]
    header = ["iteration", *trainings.scores, *(f"{bank} minus {reference}" for bank in others)]
    rows = [
        [str(iteration), *(percent(scores[k].mean()) for scores in trainings.scores.values()),
         *(_difference((trainings.scores[bank] - trainings.scores[reference])[[k]]) for bank in others)]
        for iteration, k in _in_order(trainings)
    ]
    return Table("curve", header, rows, "Checkpoints of one training (J&F)")


def draw_curve(trainings: Trainings, reference: str, path: Path) -> None:
    """J&F of each bank over the checkpoints of one training; below it, the differences from the reference bank with
    their intervals over the sequences, side by side."""
    iterations, order = np.transpose(_in_order(trainings))
    aside = 0.008 * (iterations.max() - iterations.min())
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(8, 8), dpi=110, sharex=True, layout="constrained")
    for k, (bank, scores) in enumerate(trainings.scores.items()):
        (line,) = above.plot(iterations, 100 * scores.mean(1)[order], "o-", label=bank)
        if bank != reference:
            differences = 100 * (scores - trainings.scores[reference])[order]
            mean = differences.mean(1)
            reach = np.abs(np.transpose([paired_interval(row) for row in differences]) - mean)
            below.errorbar(iterations + k * aside, mean, reach, fmt="o-", color=line.get_color(), capsize=3)
    above.set_ylabel("J&F (per cent)")
    below.axhline(0, color="black", linewidth=1)
    below.set_ylabel(f"minus {reference} (points)")
    below.set_xlabel("iteration")
    for axes in (above, below):
        axes.grid(alpha=0.3)
    above.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)


def _in_order(trainings: Trainings) -> list[tuple[int, int]]:
    """The checkpoints by the numbers in their folders' names: (iteration, place among the trainings)."""
    return sorted((_number(name), place) for place, name in enumerate(trainings.names))


def _check(folder: Path, what: str, expected: Iterable[str], found: Iterable[str]) -> None:
    if set(expected) != set(found):
        raise DatasetError(f"{folder}: expected the {what} {', '.join(expected)}, as before it, found "
                           f"{', '.join(found) or 'none that are scored'}; evaluate all trainings in one way")


def _difference(differences: Scores) -> str:
    """The mean of differences [trainings, sequences], in points, with its interval; one sequence has none."""
    mean = points(float(differences.mean()))
    low, high = map(points, interval_over_trainings(differences))
    return f"{mean} ({low} to {high})" if low else mean


def _number(name: str) -> int:
    """The last number in a name: that of a checkpoint."""
    numbers = re.findall(r"\d+", name)
    if not numbers:
        raise DatasetError(f"{name}: expected the name of a folder that ends with an iteration, as in "
                           "iteration_0000500, found no number; rename it, or leave --curve out")
    return int(numbers[-1])
