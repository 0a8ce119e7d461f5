"""How long the runs of a plan will take: a few frames are segmented on this machine, then multiplied."""

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dataset.folder import FolderSequence
from dataset.masks import labels_in, read_labels
from inference.evaluation import RunOptions, make_segmenter
from inference.memory import MemoryOptions
from inference.report.tables import Table
from inference.reproduction.work import Work
from inference.run.runner import run_sequence
from inference.run.writer import SequenceWriter
from inference.runtime import RuntimeOptions, load_for
from inference.scoring.davis import score_results
from inference.views import ViewOptions, ViewSegmenter
from model.network import STCN

FRAMES, WARM_UP = 6, 2
LOOKED_AT = 30                               # sequences, to find a typical one


@dataclass(frozen=True)
class Estimate:
    """What is left to do of a run, and how long it will take."""

    name: str
    frames: int                              # of all its sequences
    to_do: int
    per_frame: float                         # seconds of one process, scoring included

    def seconds(self, processes: int) -> float:
        return self.to_do * self.per_frame / processes


def estimate(works: Sequence[Work], runtime: RuntimeOptions) -> list[Estimate]:
    """Measure each memory bank on each data set for FRAMES frames; finished runs are not measured."""
    measured: dict[tuple[str, MemoryOptions], float] = {}
    samples: dict[str, FolderSequence] = {}
    networks: dict[str, STCN] = {}
    estimates = []
    with tqdm(works, "measuring", unit="run", dynamic_ncols=True, leave=False) as bar:
        for work in bar:
            data, bank, to_do = work.run.experiment.data, work.options[MemoryOptions], sum(map(len, work.to_do))
            if to_do and (data, bank) not in measured:
                weights = str(work.options[RunOptions].weights)
                if weights not in networks:
                    networks[weights] = load_for(runtime, weights)
                first = data not in samples
                sample = samples.setdefault(data, beginning(typical(work.sequences), FRAMES))
                segmenter = make_segmenter(networks[weights], runtime, work.options[ViewOptions], bank)
                measured[data, bank] = seconds_per_frame(segmenter, sample, warm_up=first)
            frames = sum(map(len, work.sequences))
            estimates.append(Estimate(work.run.experiment.name, frames, to_do, measured.get((data, bank), 0.0)))
    return estimates


def seconds_per_frame(segmenter: ViewSegmenter, sample: FolderSequence, warm_up: bool) -> float:
    """Seconds of reading, segmenting, writing and, with ground truth in every frame, scoring a frame of the sample."""
    bar: tqdm[Any] = tqdm(disable=True)
    with tempfile.TemporaryDirectory() as scratch:
        if warm_up:
            run_sequence(beginning(sample, WARM_UP), segmenter, SequenceWriter(Path(scratch) / "warm-up"), bar)
            segmenter.reset()
        report = run_sequence(sample, segmenter, SequenceWriter(Path(scratch) / sample.name), bar)
        scoring = 0.0
        if len(sample.ground_truth) == len(sample) > WARM_UP:
            started = time.perf_counter()
            score_results({sample.name: sample.ground_truth}, Path(scratch), sample.binary, 1, progress=False)
            scoring = time.perf_counter() - started
    return (report.wall_seconds + scoring) / report.frames


def beginning(sequence: FolderSequence, frames: int) -> FolderSequence:
    """The first frames from the first annotated one on."""
    start = next(index for index, name in enumerate(sequence.frame_names) if name in sequence.annotations)
    paths = sequence.frames[start:start + frames]
    names = {path.stem for path in paths}
    kept = ({name: path for name, path in each.items() if name in names}
            for each in (sequence.annotations, sequence.ground_truth))
    annotations, truth = kept
    return replace(sequence, frames=paths, annotations=annotations, ground_truth=truth)


def typical(sequences: Sequence[FolderSequence]) -> FolderSequence:
    """The one whose number of objects is nearest to the mean, of at most LOOKED_AT that are spread over all."""
    chosen = np.linspace(0, len(sequences) - 1, min(len(sequences), LOOKED_AT)).round().astype(int)
    objects = {int(index): _objects(sequences[index]) for index in chosen}
    mean = sum(objects.values()) / len(objects)
    return sequences[min(objects, key=lambda index: abs(objects[index] - mean))]


def estimate_table(estimates: Iterable[Estimate], processes: int) -> Table:
    """Frames and time of every run, and of all together."""
    estimates = list(estimates)
    rows = [
        [each.name, str(each.frames), str(each.to_do), f"{each.per_frame:.2f}" if each.to_do else "",
         duration(each.seconds(processes))] for each in estimates
    ]
    rows.append(["together", str(sum(each.frames for each in estimates)), str(sum(each.to_do for each in estimates)),
                 "", duration(sum(each.seconds(processes) for each in estimates))])
    return Table("plan", ["run", "frames", "to do", "seconds a frame", "time"], rows, "Runs")


def duration(seconds: float) -> str:
    """In words, such as "3 h 05 min"."""
    minutes = round(seconds / 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _objects(sequence: FolderSequence) -> int:
    """In the first annotation."""
    labels = read_labels(next(iter(sequence.annotations.values())))
    return 1 if sequence.binary else max(1, len(set(labels_in(labels)) - {0, 255}))
