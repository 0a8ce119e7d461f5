"""Scoring: J and F of the frames of DAVIS val, against the plain formulas in one process."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dataset.davis import davis_sequences
from dataset.folder import FolderSequence
from dataset.masks import read_labels, write_labels
from inference.scoring.davis import score_results
from inference.scoring.metrics import Statistics, boundary_accuracy_plain, region_similarity, statistics
from scripts.benchmarks.measure import Measurement, measure_in_turn, ratio


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    sequences = davis_sequences(options.data / "DAVIS", 2016, "val")
    with tempfile.TemporaryDirectory() as folder:
        for sequence in sequences:
            _shifted_truth(sequence, Path(folder) / sequence.name)
        truths = {sequence.name: sequence.ground_truth for sequence in sequences}
        results = measure_in_turn("score", {
            "plain formulas, one process": lambda: [_plain(s, Path(folder) / s.name) for s in sequences],
            "score_results": lambda: score_results(truths, Path(folder), binary=True, progress=False),
        }, runs=3)
    plain = results["plain formulas, one process"]
    for result in results.values():
        result.notes = {"frames": str(sum(map(len, sequences))), "times plain": ratio(plain, result)}
        yield result


def _shifted_truth(sequence: FolderSequence, folder: Path) -> None:
    """Results that are neither right nor empty: every mask is that of three frames before."""
    folder.mkdir()
    names = sequence.frame_names
    for index, name in enumerate(names):
        write_labels(folder / f"{name}.png", read_labels(sequence.ground_truth[names[max(0, index - 3)]]))


def _plain(sequence: FolderSequence, folder: Path) -> tuple[Statistics, Statistics]:
    j, f = [], []
    for name in sequence.frame_names[1:-1]:
        truth, prediction = read_labels(sequence.ground_truth[name]) > 0, read_labels(folder / f"{name}.png") > 0
        j.append(region_similarity(truth, prediction))
        f.append(boundary_accuracy_plain(truth, prediction))
    return statistics(j), statistics(f)
