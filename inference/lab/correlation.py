"""Do the lab's numbers order memory banks as full evaluations do? Spearman's rank correlation."""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from dataset.errors import DatasetError
from inference.lab.contestant import Outcome
from inference.lab.replay import OF_A_ROW, Result
from inference.memory import POLICIES, MemoryOptions
from inference.memory.labels import relevant
from inference.report.runs import read_runs
from inference.report.tables import Table

PROXIES: dict[str, Callable[[Outcome], float | None]] = {
    "retained mass": lambda outcome: outcome.retained_mass, "agreement": lambda outcome: outcome.agreement,
    "propagation J": lambda outcome: outcome.propagation_j,
}
SCORE = "J&F-Mean"


@dataclass(frozen=True)
class Point:
    """A bank on a sequence, named alike in the lab's results and in evaluations."""

    sequence: str
    memory: str
    memory_frames: int | None
    index: str               # "" for banks without a usage index

    @property
    def bank(self) -> tuple[str, int | None, str]:
        return self.memory, self.memory_frames, self.index


def scores_of_runs(folders: list[Path], settings: dict[str, Any]) -> dict[Point, float]:
    """J&F of each sequence, from run folders of eval_davis.py that have the replay's `settings`.

    Raises DatasetError for other folders.
    """
    return {
        _point(name, run.settings): scores[SCORE]
        for run in read_runs(folders) if _comparable(run.settings, settings)
        for name, scores in run.per_sequence.items() if not math.isnan(scores.get(SCORE, math.nan))
    }


def scores_of_ablation(file: Path, settings: dict[str, Any]) -> dict[Point, float]:
    """The same from the CSV of scripts/ablate.py, whose columns are found by name."""
    try:
        with open(file, newline="") as lines:
            return {
                _point(row["sequence"], row): float(row[SCORE])
                for row in csv.DictReader(lines) if _comparable(row, settings)
            }
    except (KeyError, ValueError, TypeError):
        raise DatasetError(f"{file}: expected the columns sequence, memory, memory_frames, index and {SCORE}, found "
                           "something else; give the ablation.csv of scripts/ablate.py") from None


def correlation_table(results: list[Result], scores: dict[Point, float]) -> Table:
    """Spearman's correlation of each proxy with J&F, and over how many points.

    Three levels: over all (sequence, bank) points; over those of one sequence, averaged over sequences, which ignores
    how hard each is; over the banks' means. Raises DatasetError if replay and evaluations share fewer than 3 points.
    """
    pairs = [(point, result) for result in results if (point := _point_of(result)) in scores]
    if len(pairs) < 3:
        raise DatasetError("evaluations: expected at least 3 points (sequence and bank) that the replay has too, found "
                           f"{len(pairs)}; evaluate its banks and videos, with its weights, interval and top-k")
    rows = []
    for name, proxy in PROXIES.items():
        triples = [
            (point, value, scores[point]) for point, result in pairs if (value := proxy(result.outcome)) is not None
        ]
        for level, (correlation, count) in _levels(triples).items():
            rows.append([name, level, "" if math.isnan(correlation) else f"{correlation:+.3f}", count])
    return Table("correlation", ["proxy", "over", "Spearman with J&F", "points"], rows, words=2)


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Rank correlation; ties get the mean of their ranks. NaN for fewer than three points and for constant values."""
    ranks = [_ranks(np.asarray(values, dtype=float)) for values in (x, y)]
    spread = [rank - rank.mean() for rank in ranks]
    scale = math.sqrt((spread[0] ** 2).sum() * (spread[1] ** 2).sum())
    return float((spread[0] * spread[1]).sum() / scale) if scale and len(ranks[0]) > 2 else math.nan


def _levels(triples: list[tuple[Point, float, float]]) -> dict[str, tuple[float, str]]:
    """(correlation, number of points) of (point, proxy, score) at each level; NaN for fewer than three points."""
    by_sequence, by_bank = defaultdict(list), defaultdict(list)
    for point, proxy, score in triples:
        by_sequence[point.sequence].append((proxy, score))
        by_bank[point.bank].append((proxy, score))
    within = {name: spearman(*_columns(pairs)) for name, pairs in by_sequence.items() if len(pairs) > 2}
    within = {name: value for name, value in within.items() if not math.isnan(value)}
    inside = sum(len(by_sequence[name]) for name in within)
    means = [np.mean(pairs, axis=0) for pairs in by_bank.values()]
    return {
        "all": (spearman(*_columns([triple[1:] for triple in triples])), str(len(triples))),
        "each sequence, mean": (float(np.mean(list(within.values()) or math.nan)), f"{inside} in {len(within)}"),
        "means of banks": (spearman(*_columns(means)), str(len(means))),
    }


def _columns(pairs: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _ranks(values: np.ndarray) -> np.ndarray:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[group]


def _point_of(result: Result) -> Point | None:
    """None for rows that no evaluation can have: the bound, the clairvoyant policy."""
    return Point(result.sequence, result.memory, result.memory_frames, result.index) if result.memory else None


def _point(sequence: str, settings: dict[str, Any]) -> Point:
    memory, frames = settings["memory"], settings.get("memory_frames")
    index = ""
    if memory in POLICIES:
        options = MemoryOptions(memory=memory, index=settings.get("index") or MemoryOptions.index)
        index = relevant(options)["index"] or ""
    return Point(sequence, memory, int(frames) if frames else None, index)


def _comparable(settings: dict[str, Any], replay: dict[str, Any]) -> bool:
    """Whether an evaluation has plain banks that store and read as in the replay, and the same weights."""
    wanted = {"weights_sha256": replay["keys"].get("weights_sha256"), "scales": [1.0], "flip": False}
    shared = [each for each in fields(MemoryOptions) if each.name not in (*OF_A_ROW, "seed")]
    wanted |= {each.name: replay.get(each.name, each.default) for each in shared}
    without_effect = (None, "")                # how settings and tables show options that their bank ignores
    return all(settings.get(key) in without_effect or str(settings[key]) == str(value) for key, value in wanted.items())
