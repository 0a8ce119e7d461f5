"""YouTube-VOS's scores: J and F over seen and unseen categories, each averaged per object.

An object counts in every annotated frame after the one in which it first appears. The server's labels are
not public: this is for sets whose ground truth is at hand.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dataset.label_maps import read_label_map
from dataset.masks import VOID, labels_in, read_labels
from inference.scoring.davis import read_result
from inference.scoring.metrics import score_frame

COLUMNS = ("J-seen", "J-unseen", "F-seen", "F-unseen", "J&F")


@dataclass
class ObjectScore:
    """One object of one video: its category and per-frame scores."""

    video: str
    number: int
    category: str
    j: list[float] = field(default_factory=list)
    f: list[float] = field(default_factory=list)


def score_videos(
    ground_truths: dict[str, dict[str, Path]], results: Path, categories: dict[str, dict[int, str]]
) -> list[ObjectScore]:
    """Score the videos of `ground_truths` (video -> frame name -> label map) against `results/<video>`.

    Raises DatasetError for a missing mask, one of another size, and unreadable files.
    """
    jobs = [(name, truth, results / name, categories.get(name, {})) for name, truth in ground_truths.items()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        scored = pool.map(score_video, *zip(*jobs, strict=True))
        return [score for video in tqdm(scored, total=len(jobs), desc="scoring", unit="video") for score in video]


def score_video(
    video: str, truths: dict[str, Path], results: Path, categories: dict[int, str]
) -> list[ObjectScore]:
    """Scores of one video's objects, ascending."""
    scores: dict[int, ObjectScore] = {}
    for name, path in truths.items():
        truth = read_labels(path)
        if scores:
            prediction = read_result(results / f"{name}.png", path, truth.shape)
            for score, (j, f) in zip(scores.values(), score_frame(truth, prediction, scores), strict=True):
                score.j.append(j)
                score.f.append(f)
        newcomers = set(labels_in(truth)) - {0, VOID} - scores.keys()
        if newcomers:
            read_label_map(path)                    # raises if they are gray levels
        for number in newcomers:
            scores[number] = ObjectScore(video, number, categories.get(number, ""))
    return [scores[number] for number in sorted(scores) if scores[number].j]


def seen_and_unseen(scores: list[ObjectScore], seen: set[str] | None) -> dict[str, float]:
    """The benchmark's columns, in [0, 1]; "J&F" is their mean. `seen`: categories of the training set; None: all
    categories. A group without objects is NaN and left out of the mean."""
    groups: dict[str, list[ObjectScore]] = {"seen": [], "unseen": []}
    for score in scores:
        groups["seen" if seen is None or score.category in seen else "unseen"].append(score)
    columns = {
        f"{measure}-{group}": _mean([np.mean(getattr(score, measure.lower())) for score in members])
        for measure in "JF" for group, members in groups.items()
    }
    known = [value for value in columns.values() if not math.isnan(value)]
    return columns | {"J&F": _mean(known)}


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else math.nan
