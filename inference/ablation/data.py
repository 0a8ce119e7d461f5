"""The data of an ablation: its videos, which of their frames are scored and written, and what their scores become."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from dataset.davis import has_full_ground_truth
from dataset.errors import DatasetError
from dataset.folder import FolderSequence, Frame
from dataset.label_maps import read_label_map
from dataset.masks import in_pixels, read_labels
from dataset.youtube import YouTubeSequence, read_categories
from inference.ablation.records import SettingReport
from inference.data_options import DavisOptions, YouTubeOptions
from inference.options import Options, recorded
from inference.run.submission import MASKS, ResultOptions, required_truths
from inference.scoring.davis import global_statistics, objects_of
from inference.scoring.live import LiveScores
from inference.scoring.youtube import COLUMNS, ObjectScore, seen_and_unseen
from model.errors import ConfigError

Scores = dict[str, float]
Truths = Mapping[str, Mapping[str, Path]]      # sequence -> frame name -> label map, in the order of the frames


class AblationData(ABC):
    """Videos, and the ground truth of the frames that are scored.

    Args:
        sequences: the videos. truths: None: there is no ground truth, and nothing is scored.
        settings: what run.json keeps of the choice of data.
    """

    short_side = 0                              # of frames for the network, by default
    masks = ""                                  # folder of masks below that of a setting
    columns: tuple[str, ...] = ()               # of the scores, in the order of ablation.csv

    def __init__(
        self, sequences: Sequence[FolderSequence], truths: Truths | None, settings: dict[str, Any] | None = None
    ) -> None:
        self.sequences, self.truths, self.settings = list(sequences), truths, settings or {}

    def frames(self, sequence: FolderSequence) -> Iterator[tuple[Frame, np.ndarray | None]]:
        """Each frame and its ground truth [H, W]; None for a frame that does not count."""
        paths = self.truths[sequence.name] if self.truths else {}
        for frame in sequence:
            yield frame, _truth(paths[frame.name], frame, sequence.binary) if frame.name in paths else None

    @abstractmethod
    def live(self, sequence: FolderSequence, pool: Executor) -> LiveScores:
        """A new scorer of one setting's masks of the sequence."""

    def wanted(self, sequence: FolderSequence) -> frozenset[str] | None:
        """The frames whose masks are written; None: all."""
        return None

    def scores(self, reports: Mapping[str, SettingReport]) -> tuple[Scores, dict[str, Scores]]:
        """Of one setting, sequence by sequence: the scores of all, and of each sequence; empty without ground truth."""
        return self._scores(reports) if self.truths is not None else ({}, {})

    @abstractmethod
    def _scores(self, reports: Mapping[str, SettingReport]) -> tuple[Scores, dict[str, Scores]]:
        """As `scores`, with ground truth."""


class DavisData(AblationData):
    """Sequences of DAVIS: the objects of the first annotation, without the first and the last frame.

    Raises DatasetError if some frames after the first of a sequence have annotations and others have none.
    """

    columns = ("J-Mean", "F-Mean", "J&F-Mean", "J-Recall", "J-Decay", "F-Recall", "F-Decay")

    def __init__(self, sequences: Sequence[FolderSequence], settings: dict[str, Any] | None = None) -> None:
        secret = all(len(sequence.ground_truth) == 1 < len(sequence) for sequence in sequences)       # test-dev
        self.objects = {} if secret else {sequence.name: _scored_objects(sequence) for sequence in sequences}
        truths = {each.name: dict(list(each.ground_truth.items())[1:-1]) for each in sequences}
        super().__init__(sequences, None if secret else truths, settings)

    def live(self, sequence: FolderSequence, pool: Executor) -> LiveScores:
        return LiveScores(self.objects.get(sequence.name, []), pool)

    def _scores(self, reports: Mapping[str, SettingReport]) -> tuple[Scores, dict[str, Scores]]:
        scores = [report.sequence_scores(name) for name, report in reports.items()]
        return global_statistics(scores), {scored.sequence: global_statistics([scored]) for scored in scores}


class YouTubeData(AblationData):
    """Videos of YouTube-VOS, or of a folder laid out like it: objects appear in any frame.

    Args:
        seen: categories of the training set; None: all. all_frames: write the masks of all frames, not only required.

    Raises DatasetError for ground truth that holds no object numbers.
    """

    short_side, masks, columns = 480, MASKS, COLUMNS

    def __init__(
        self, videos: Sequence[YouTubeSequence], truths: Truths | None, seen: set[str] | None = None,
        all_frames: bool = False, settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(videos, truths, settings)
        for paths in (truths or {}).values():
            for first in list(paths.values())[:1]:
                read_label_map(first)           # refused before anything is computed
        self.seen, self.all_frames = seen, all_frames
        self._videos = {video.name: video for video in videos}

    def live(self, sequence: FolderSequence, pool: Executor) -> LiveScores:
        return LiveScores([], pool, late=True)

    def wanted(self, sequence: FolderSequence) -> frozenset[str] | None:
        return None if self.all_frames else self._videos[sequence.name].required

    def _scores(self, reports: Mapping[str, SettingReport]) -> tuple[Scores, dict[str, Scores]]:
        objects = {
            name: [
                ObjectScore(name, number, self._videos[name].categories.get(number, ""), scored.j, scored.f)
                for number, scored in sorted(report.sequence_scores(name).objects.items()) if scored.j
            ] for name, report in reports.items()
        }
        everything = [scored for members in objects.values() for scored in members]
        each = {name: seen_and_unseen(members, self.seen) for name, members in objects.items()}
        return seen_and_unseen(everything, self.seen), each


def chosen_data(davis: DavisOptions, youtube: YouTubeOptions, results: ResultOptions) -> AblationData:
    """The data that a command line names by one root; raises ConfigError for two or none, and for flags of the other.

    Raises DatasetError for data that cannot be read.
    """
    if (davis.davis_root is None) == (youtube.youtube_root is None):
        found = "none" if davis.davis_root is None else "both"
        raise ConfigError(f"--davis-root, --youtube-root: expected one of them, found {found}; give the data")
    if youtube.youtube_root is None:
        _check_unused("--youtube-root", youtube, results)
        return DavisData(davis.read(), recorded(davis))
    _check_unused("--davis-root", davis)
    videos = youtube.read()
    truths = required_truths(videos, youtube.youtube_root, results.ground_truth)
    seen = None if results.seen_from is None else read_categories(results.seen_from)
    ground_truth = results.ground_truth and str(results.ground_truth)
    settings = recorded(youtube) | {"ground_truth": ground_truth}
    return YouTubeData(videos, truths, seen, youtube.write_all_frames, settings)


def _check_unused(root: str, *groups: Options) -> None:
    """Raises ConfigError if an option of `groups`, which belong to `root`, was given."""
    for group in groups:
        for each in fields(group):
            flag = f"--{each.name.replace('_', '-')}"
            if flag not in (root, "--sequences") and getattr(group, each.name) != each.default:
                raise ConfigError(f"{flag}: expected {root} beside it, found the other kind of data; leave it out")


def _truth(path: Path, frame: Frame, binary: bool) -> np.ndarray:
    labels = read_labels(path)
    if labels.shape != frame.image.shape[:2]:
        raise DatasetError(f"{path}: expected {in_pixels(frame.image.shape)}, the size of its frame, found "
                           f"{in_pixels(labels.shape)}; score at the size of the frames")
    return (labels > 0).astype(np.uint8) if binary else labels


def _scored_objects(sequence: FolderSequence) -> list[int]:
    truths = list(sequence.ground_truth.values())
    if not has_full_ground_truth(sequence) or len(truths) != len(sequence):
        raise DatasetError(f"{truths[0].parent}: expected an annotation of each of the {len(sequence)} frames, since "
                           f"an ablation is scored, found {len(truths)}; choose sequences with full annotations")
    return objects_of(truths[0], sequence.binary)
