"""The scores of LVOS, MOSE v2, VOST and Long-time Video: what counts, how a frame is measured, how frames are averaged.

The rules are those of the evaluation code of each data set, read in November 2026: LingyiHongfd/lvos-evaluation,
henghuiding/MOSE-api (MOSEv2/sam2_rcms/tools/score.py), TRI-ML/VOST (evaluation), xmlyqing00/AFB-URR
(longvideo_evaluation). In all of them, void pixels (255) are background.
"""

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dataset.benchmarks import BenchmarkVideo
from dataset.errors import DatasetError
from dataset.masks import VOID, labels_in, read_labels
from inference.scoring.davis import (
    GLOBAL_COLUMNS,
    ObjectScores,
    SequenceScores,
    global_statistics,
    objects_of,
    read_result,
)
from inference.scoring.metrics import TOLERANCE, boundary_accuracy_within, region_similarity, score_frame, statistics
from inference.scoring.reappearance import disappeared_and_reappeared
from inference.scoring.youtube import COLUMNS, ObjectScore, seen_and_unseen

Truths = Mapping[str, Path]                     # frame name -> label map, in the order of the frames
Counted = dict[int, list[str]]                  # object number -> the frames in which it counts
Scores = dict[str, float]
_AREA_TOLERANCE = 0.1                           # MOSE v2: of the square root of the object's area


@dataclass
class CountedScore(ObjectScore):
    """One object of one video: per-frame scores, and in which of these frames the ground truth shows it."""

    shown: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Rule:
    """How a benchmark is scored: which frames count, J and F of the objects in a frame, and its columns."""

    counted: Callable[[BenchmarkVideo, Truths], Counted]
    measure: Callable[[np.ndarray, np.ndarray, Iterable[int]], list[tuple[float, float]]]
    summary: Callable[[Sequence[CountedScore]], Scores]
    columns: tuple[str, ...]                    # of the summary, the main one first


def score_video(video: BenchmarkVideo, truths: Truths, results: Path, rule: Rule) -> list[CountedScore]:
    """Score the masks `results/<frame>.png` of one video.

    Raises DatasetError for a missing label map or mask, one of another size, and unreadable files.
    """
    scores: dict[int, CountedScore] = {}
    by_frame: dict[str, list[int]] = {}
    for number, names in rule.counted(video, truths).items():
        scores[number] = CountedScore(video.name, number, video.name)
        for name in names:
            by_frame.setdefault(name, []).append(number)
    for name, numbers in by_frame.items():
        if name not in truths:
            raise DatasetError(f"{video.name}/{name}.png: expected a label map to score against, found none; give the "
                               "folder that has it with --ground-truth")
        truth = read_labels(truths[name])
        prediction = read_result(results / f"{name}.png", truths[name], truth.shape)
        shown = set(labels_in(truth))
        for number, (j, f) in zip(numbers, rule.measure(truth, prediction, numbers), strict=True):
            scores[number].j.append(j)
            scores[number].f.append(f)
            scores[number].shown.append(number in shown)
    return [score for score in scores.values() if score.j]


def score_videos(
    videos: Sequence[BenchmarkVideo], truths: Mapping[str, Truths], results: Path, rule: Rule
) -> dict[str, list[CountedScore]]:
    """Video -> the scores of its objects, masks being `results/<video>/<frame>.png`. Raises what `score_video` does."""
    score = partial(score_video, rule=rule)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scored = pool.map(score, videos, (truths[v.name] for v in videos), (results / v.name for v in videos))
        each = tqdm(scored, total=len(videos), desc="scoring", unit="video", disable=None)
        return {video.name: objects for video, objects in zip(videos, each, strict=True)}


def has_all_truths(video: BenchmarkVideo, truths: Truths, rule: Rule) -> bool:
    """Whether there is something to score, and a label map for each frame that counts."""
    frames = {name for names in rule.counted(video, truths).values() for name in names}
    return bool(frames) and frames <= truths.keys()


def all_and_each(scores: Mapping[str, list[CountedScore]], rule: Rule) -> tuple[Scores, dict[str, Scores]]:
    """The columns over the objects of all videos, and over those of each video; NaN for what cannot be averaged."""
    everything = [score for objects in scores.values() for score in objects]
    return rule.summary(everything), {name: rule.summary(objects) for name, objects in scores.items()}


def rule_of(benchmark: str, unseen: Iterable[str] = ()) -> Rule:
    """The rule of a benchmark of `dataset.benchmarks`. unseen: videos of LVOS whose categories training lacks."""
    return {
        "lvos": Rule(_in_ranges, score_frame, partial(lvos_columns, unseen=frozenset(unseen)), LVOS_COLUMNS),
        "mose": Rule(_between_first_and_last, mose_frame, mose_columns, MOSE_COLUMNS),
        "vost": Rule(_annotated_between, _regions, vost_columns, VOST_COLUMNS),
        "longvideo": Rule(_annotated_after_first, score_frame, davis_columns, GLOBAL_COLUMNS),
    }[benchmark]


LVOS_COLUMNS = ("J&F", *COLUMNS[:4], "V")
MOSE_COLUMNS = ("J&F", "J", "F", "J&F-d", "J&F-r")
VOST_COLUMNS = ("J", "J-tr")


def lvos_columns(scores: Sequence[CountedScore], unseen: frozenset[str] = frozenset()) -> Scores:
    """J and F, averaged per object, over videos of seen and of unseen categories; J&F is the mean of the four.

    V is the standard deviation of (J + F) / 2 over an object's frames, averaged over objects; lower is steadier. The
    toolkit rounds the variance to four digits first.
    """
    seen = {score.video for score in scores} - unseen
    deviations = [np.std((np.asarray(score.j) + score.f) / 2) for score in scores]
    return seen_and_unseen(list(scores), seen) | {"V": _mean(deviations)}


def mose_columns(scores: Sequence[CountedScore]) -> Scores:
    """J and F, averaged per object, and J&F while an object is gone (d) and after it came back (r).

    Each of the latter is the mean over the spells of an object, then over the objects that have one.
    """
    j, f = (_mean([np.mean(getattr(score, key)) for score in scores]) for key in "jf")
    columns = {"J&F": (j + f) / 2, "J": j, "F": f}
    spells = [disappeared_and_reappeared(score.j, score.f, score.shown) for score in scores]
    for index, name in enumerate(("J&F-d", "J&F-r")):
        found = [each[index] for each in spells if not math.isnan(each[index])]
        columns[name] = _mean(found)
    return columns


def vost_columns(scores: Sequence[CountedScore]) -> Scores:
    """J over all scored frames, and over the last quarter of them (tr), from frame floor(0.75 n) on; per object."""
    last = [score.j[math.floor(0.75 * len(score.j)):] for score in scores]
    return {"J": _mean([np.mean(score.j) for score in scores]), "J-tr": _mean([np.mean(values) for values in last])}


def davis_columns(scores: Sequence[CountedScore]) -> Scores:
    """Mean, recall and decay of J and F as in DAVIS, averaged per object."""
    objects = {
        index: ObjectScores(score.j, score.f, statistics(score.j), statistics(score.f))
        for index, score in enumerate(scores)
    }
    return global_statistics([SequenceScores("", [], objects, [])])


def mose_frame(truth: np.ndarray, prediction: np.ndarray, objects: Iterable[int]) -> list[tuple[float, float]]:
    """(J, F) of MOSE v2: J = (I + 1) / (U + 1); F within min(0.008 of the diagonal, ceil(0.1 sqrt(area))) pixels.

    The area is that of the object in the ground truth; if it is empty, the tolerance is 0.008 of the diagonal.
    """
    widest = TOLERANCE * math.hypot(*truth.shape)
    scores = []
    for number in objects:
        expected, found = truth == number, prediction == number
        union, area = np.count_nonzero(expected | found), np.count_nonzero(expected)
        j = float((np.count_nonzero(expected & found) + 1) / (union + 1))
        radius = min(widest, math.ceil(_AREA_TOLERANCE * math.sqrt(area))) if area else widest
        scores.append((j, boundary_accuracy_within(expected, found, radius)))
    return scores


def _regions(truth: np.ndarray, prediction: np.ndarray, objects: Iterable[int]) -> list[tuple[float, float]]:
    """J alone; VOST has no F."""
    return [(region_similarity(truth == number, prediction == number), math.nan) for number in objects]


def _in_ranges(video: BenchmarkVideo, truths: Truths) -> Counted:
    """LVOS: every fifth frame of an object's range, without the first and the last."""
    return {number: frames.scored() for number, frames in video.ranges.items()}


def _between_first_and_last(video: BenchmarkVideo, truths: Truths) -> Counted:
    """MOSE: all frames but the first and the last; the objects of the metadata, or of the masks given."""
    numbers = video.objects or sorted({n for path in video.annotations.values() for n in _objects_in(path)})
    return {number: video.frame_names[1:-1] for number in numbers}


def _annotated_between(video: BenchmarkVideo, truths: Truths) -> Counted:
    """VOST: the annotated frames but the first and the last; the objects of the first mask, 1 to its largest label."""
    return _of_first_mask(video, list(truths)[1:-1])


def _annotated_after_first(video: BenchmarkVideo, truths: Truths) -> Counted:
    """Long-time Video: the annotated frames but the first. (Some publications leave out the last one, too.)"""
    return _of_first_mask(video, list(truths)[1:])


def _of_first_mask(video: BenchmarkVideo, frames: list[str]) -> Counted:
    return {number: frames for number in objects_of(next(iter(video.annotations.values())), binary=False)}


def _objects_in(path: Path) -> set[int]:
    return set(labels_in(read_labels(path))) - {0, VOID}


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if values else math.nan
