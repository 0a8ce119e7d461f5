"""Scores of a folder of result masks against ground truth: J, F and their statistics per object.

The protocol is that of the official DAVIS 2017 toolkit: the objects are those of the first annotation, the
first and the last frame do not count, and an average over sequences is the average over all their objects.
"""

import csv
import io
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.files import write_text
from dataset.label_maps import read_label_map
from dataset.masks import VOID, labels_in, read_labels
from inference.scoring.metrics import Statistics, score_frame, statistics

GLOBAL_COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


@dataclass(frozen=True)
class ObjectScores:
    """Per-frame J and F of one object, in the order of the scored frames, and their statistics."""

    j: list[float]
    f: list[float]
    j_statistics: Statistics
    f_statistics: Statistics


@dataclass(frozen=True)
class SequenceScores:
    """Scores of one sequence; `frames` names the scored ones, `notes` says what a reader should know."""

    sequence: str
    frames: list[str]
    objects: dict[int, ObjectScores]
    notes: list[str]


def score_results(
    ground_truths: dict[str, dict[str, Path]],
    results: Path,
    binary: bool,
    workers: int | None = None,
    progress: bool = True,
) -> list[SequenceScores]:
    """`score_sequence` for every sequence of `ground_truths` (name -> frame name -> label map) against the
    folder of that name in `results`, over `workers` threads (default: as many as there are cores).

    Raises DatasetError for the first sequence, in order, that cannot be scored.
    """
    jobs = [(truth, Path(results) / name, binary) for name, truth in ground_truths.items()]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:      # decoding and OpenCV release the GIL
        scores = pool.map(score_sequence, *zip(*jobs, strict=True))
        return list(tqdm(scores, "scoring", len(jobs), unit="sequence", disable=None if progress else True))


def score_sequence(ground_truth: dict[str, Path], results: Path, binary: bool) -> SequenceScores:
    """Score the masks `results/<frame name>.png` of one sequence against its label maps, in their order.

    Objects are 1..n, n being the largest label but void (255) of the first label map, or the one object
    "label above 0" if `binary`. An object that the results lack is scored as empty masks, with a note. Void
    pixels are background.

    Raises DatasetError for a missing sequence folder or frame, a mask of another size, unreadable files, and
    a first label map without objects.
    """
    results = Path(results)
    if not results.is_dir():
        raise DatasetError(f"{results}: expected the folder of result masks of sequence {results.name}, found "
                           "none; segment the sequence first, or leave it out with --sequences")
    if not ground_truth:
        raise DatasetError(f"sequence {results.name}: expected label maps to score against, found none; "
                           "check the folder of annotations")
    objects = objects_of(next(iter(ground_truth.values())), binary)
    names = list(ground_truth)[1:-1]
    j: dict[int, list[float]] = {number: [] for number in objects}
    f: dict[int, list[float]] = {number: [] for number in objects}
    expected, found, identical = set(), set(), True
    for name in names:
        truth, prediction = _read_pair(ground_truth[name], results / f"{name}.png", binary)
        expected.update(labels_in(truth))
        found.update(labels_in(prediction))
        identical = identical and np.array_equal(truth, prediction)
        for number, scores in zip(objects, score_frame(truth, prediction, objects), strict=True):
            j[number].append(scores[0])
            f[number].append(scores[1])
    notes = _notes(results.name, len(names), objects, expected - {0, VOID}, found - {0}, identical)
    scored = {n: ObjectScores(j[n], f[n], statistics(j[n]), statistics(f[n])) for n in objects}
    return SequenceScores(results.name, names, scored, notes)


def global_statistics(scores: list[SequenceScores]) -> dict[str, float]:
    """The official toolkit's columns: means over the objects of all sequences, in [0, 1].

    Objects without a scored frame have no statistics and are left out; NaN if none is left.
    """
    objects = [scored for sequence in scores for scored in sequence.objects.values() if scored.j]
    rows = [
        [getattr(measure, column) for measure in (scored.j_statistics, scored.f_statistics)
         for column in ("mean", "recall", "decay")]
        for scored in objects
    ]
    means = np.mean(rows, axis=0).tolist() if rows else [math.nan] * 6
    return dict(zip(GLOBAL_COLUMNS, [(means[0] + means[3]) / 2, *means], strict=True))


def write_csvs(folder: Path, split: str, scores: list[SequenceScores]) -> None:
    """Write `global_results-<split>.csv` and `per-sequence_results-<split>.csv` as the official toolkit does,
    one row per object in the second; each file appears whole or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    overall = global_statistics(scores)
    objects = [
        [f"{sequence.sequence}_{number}", _six(scored.j_statistics.mean), _six(scored.f_statistics.mean)]
        for sequence in scores for number, scored in sequence.objects.items()
    ]
    tables = {
        "global": [GLOBAL_COLUMNS, [_six(overall[column]) for column in GLOBAL_COLUMNS]],
        "per-sequence": [("Sequence", "J-Mean", "F-Mean"), *objects],
    }
    for kind, rows in tables.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        write_text(folder / f"{kind}_results-{split}.csv", text.getvalue())


def format_table(scores: list[SequenceScores]) -> str:
    """An aligned text table in per cent: a line per sequence (mean over its objects), the global line last."""
    header = "sequence", "objects", "J mean", "recall", "decay", "F mean", "recall", "decay", "J&F"
    lines: list[tuple[str, ...]] = [header]
    for name, group in [*((sequence.sequence, [sequence]) for sequence in scores), ("global", scores)]:
        both, *rest = (_per_cent(value) for value in global_statistics(group).values())
        lines.append((name, str(sum(len(sequence.objects) for sequence in group)), *rest, both))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = []
    for name, *numbers in lines:
        aligned = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        texts.append("  ".join([name.ljust(widths[0]), *aligned]))
    rule = "-" * len(texts[0])
    return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1]])


def objects_of(first: Path, binary: bool) -> list[int]:
    if binary:
        return [1]
    labels = read_label_map(first)
    objects = list(range(1, int(labels.max(where=labels != VOID, initial=0)) + 1))
    if not objects:
        raise DatasetError(f"{first}: expected object numbers from 1 on in the first annotation, found "
                           f"{labels_in(labels)}; score 0/255 masks as one object (--year 2016)")
    return objects


def read_result(prediction: Path, truth: Path, shape: tuple[int, int]) -> np.ndarray:
    """The result mask of a frame, [H, W]; raises DatasetError if it is missing or not of `shape`."""
    if not prediction.is_file():
        raise DatasetError(f"{prediction}: expected the result mask of this frame, found none; "
                           "segment the whole sequence")
    labels = read_labels(prediction)
    if labels.shape != shape:
        (height, width), (rows, columns) = shape, labels.shape
        raise DatasetError(f"{prediction}: expected {width}x{height} pixels, the size of {truth}, found "
                           f"{columns}x{rows}; write results at the size of the annotations")
    return labels


def _read_pair(truth: Path, prediction: Path, binary: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = read_labels(truth)
    found = read_result(prediction, truth, labels.shape)
    return ((labels > 0).astype(np.uint8), (found > 0).astype(np.uint8)) if binary else (labels, found)


def _notes(
    name: str, frames: int, objects: list[int], expected: set[int], found: set[int], identical: bool
) -> list[str]:
    if not frames:
        return [f"{name}: no frame between the first and the last, so nothing was scored"]
    notes = []
    if late := sorted(expected - set(objects)):
        notes.append(f"{name}: the ground truth has {_named(late)} that its first annotation lacks; not scored")
    if extra := sorted(found - set(objects) - expected):
        notes.append(f"{name}: the results have {_named(extra)} that the ground truth lacks; not scored")
    if missing := sorted(expected.intersection(objects) - found):
        notes.append(f"{name}: the results lack {_named(missing)}; scored as empty masks")
    if identical:
        notes.append(f"{name}: all {frames} scored masks equal the ground truth; "
                     "was the ground truth scored against itself?")
    return notes


def _named(numbers: list[int]) -> str:
    return f"object{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _six(value: float) -> str:
    return f"{value:.6f}"


def _per_cent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
