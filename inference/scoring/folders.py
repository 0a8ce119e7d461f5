"""Scoring any two folders of masks: which sequences both have, which protocol they follow, everything as JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dataset.benchmarks import UNSEEN, BenchmarkVideo
from dataset.errors import DatasetError
from dataset.image_files import by_frame_name, list_images
from dataset.masks import read_labels
from inference.scoring.benchmarks import Scores, all_and_each, has_all_truths, rule_of, score_videos
from inference.scoring.davis import SequenceScores, global_statistics


def common_sequences(annotations: Path, results: Path) -> tuple[list[str], list[str]]:
    """(sequences that both folders have, notes on those that only one has); raises DatasetError if there are none."""
    expected, found = _folders(annotations), _folders(results)
    common = [name for name in found if name in expected]
    if not common:
        raise DatasetError(
            f"{results}: expected folders named like those of {annotations} ({_few(expected)}), found "
            f"{_few(found)}; both arguments are folders of sequence folders"
        )
    notes = []
    if unknown := [name for name in found if name not in expected]:
        notes.append(f"left out, having no annotations: {_few(unknown)}")
    if absent := [name for name in expected if name not in found]:
        notes.append(f"left out, having no results: {_few(absent)}")
    return common, notes


def guess_binary(truths: dict[str, dict[str, Path]]) -> bool:
    """Whether the first annotations hold one object each, as in DAVIS 2016. truths: sequence -> frame -> label map."""
    firsts = [next(iter(truth.values())) for truth in truths.values() if truth]
    values = [set(np.unique(read_labels(path)).tolist()) for path in firsts]
    return all(labels <= {0, 1} or labels <= {0, 255} for labels in values)


def as_json(scores: list[SequenceScores], binary: bool) -> dict[str, Any]:
    """Everything that was scored, the values of every frame included."""
    return {
        "single_object": binary,
        "global": global_statistics(scores),
        "sequences": {
            sequence.sequence: {
                "frames": sequence.frames,
                "objects": {
                    str(number): {
                        "J": list(vars(scored.j_statistics).values()),
                        "F": list(vars(scored.f_statistics).values()),
                        "J_frames": scored.j,
                        "F_frames": scored.f,
                    }
                    for number, scored in sequence.objects.items()
                },
                "notes": sequence.notes,
            }
            for sequence in scores
        },
    }


def score_benchmark(
    benchmark: str, videos: Sequence[BenchmarkVideo], results: Path, ground_truth: Path | None = None,
    unseen: Iterable[str] | None = None,
) -> tuple[Scores, dict[str, Scores]] | None:
    """The scores of `results/<video>/<frame>.png` over all videos and over each of them, by the benchmark's rule.

    Args:
        ground_truth: folder of `<video>/<frame>.png`; None: the annotations of the data set. unseen: videos of LVOS.

    None if the annotations of the data set lack frames that count. Raises what `score_videos` raises.
    """
    rule = rule_of(benchmark, unseen or ())
    truths = {video.name: video.ground_truth for video in videos}
    if ground_truth:
        truths = {video.name: by_frame_name(list_images(ground_truth / video.name)) for video in videos}
    elif not all(has_all_truths(video, truths[video.name], rule) for video in videos):
        return None
    return all_and_each(score_videos(videos, truths, results, rule), rule)


def unseen_note(benchmark: str, unseen: Iterable[str] | None) -> str:
    """What a reader of scores of LVOS without a list of unseen videos should know; empty if there is nothing."""
    if benchmark != "lvos" or unseen is not None:
        return ""
    return f"no {UNSEEN}, so all videos count as seen; copy it from the evaluation toolkit of LVOS into the root"


def _folders(parent: Path) -> list[str]:
    if not parent.is_dir():
        raise DatasetError(f"{parent}: expected a folder of sequence folders, found no folder; check the path")
    return sorted(path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _few(names: list[str]) -> str:
    return (", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")) or "none"
