"""Scores of a network during training: the streaming segmenter on a list of DAVIS sequences."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dataset.davis import davis_sequences, has_full_ground_truth
from dataset.errors import DatasetError
from inference.memory import build_memory
from inference.run.runner import run_sequence
from inference.run.writer import SequenceWriter
from inference.scoring.davis import global_statistics, score_results
from inference.segmenter import VideoSegmenter
from inference.views import View, ViewSegmenter
from model import STCN


@dataclass(frozen=True)
class ValidationConfig:
    """The data for validation during training, how often to validate, and with which bank."""

    davis_root: str
    every: int                               # iterations
    year: int = 2017
    split: str = "val"
    sequences: tuple[str, ...] | None = None   # None: all of the split
    memory: str = "every_k"
    memory_frames: int | None = None
    short_side: int = 480


def make_validation(config: ValidationConfig) -> Callable[[STCN], dict[str, float]]:
    """A function from a network to {"J&F", "J", "F"}, in [0, 1]. Raises DatasetError before training begins."""
    sequences = davis_sequences(config.davis_root, config.year, config.split, names=config.sequences)
    if not all(map(has_full_ground_truth, sequences)):
        raise DatasetError(f"{config.davis_root}: expected annotations of every frame to validate on, found some "
                           "missing; choose another split or other sequences")
    build_memory(config.memory, config.memory_frames)       # fails before training if options are contradictory
    frames = sum(map(len, sequences))

    def validate(network: STCN) -> dict[str, float]:
        segmenter = ViewSegmenter(
            [VideoSegmenter(network, build_memory(config.memory, config.memory_frames))], (View(config.short_side),)
        )
        with tempfile.TemporaryDirectory() as folder, tqdm(
            total=frames, desc="validation", unit="frame", leave=False, dynamic_ncols=True
        ) as bar:
            for sequence in sequences:
                segmenter.reset()
                run_sequence(sequence, segmenter, SequenceWriter(Path(folder) / sequence.name), bar)
            truths = {sequence.name: sequence.ground_truth for sequence in sequences}
            scores = global_statistics(score_results(truths, Path(folder), config.year == 2016, progress=False))
        return {"J&F": scores["J&F-Mean"], "J": scores["J-Mean"], "F": scores["F-Mean"]}

    return validate
