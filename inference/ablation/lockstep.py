"""Many settings of the memory bank over the same frames, in lockstep: a frame is read, padded and key-encoded once.

A key depends on the frame alone (docs/METHOD.md), so all banks share it; reading the bank, decoding and encoding
values is each cell's own. Masks are scored while they are made.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dataset.davis import has_full_ground_truth
from dataset.errors import DatasetError
from dataset.folder import FolderSequence, Frame
from dataset.masks import in_pixels, read_labels
from inference.ablation.records import CellReport, Pass, SequenceRecord, open_ablation, read_record, write_record
from inference.ablation.settings import Cell
from inference.run.runner import RunFolder, read_ahead
from inference.run.writer import SequenceWriter
from inference.scoring.davis import objects_of
from inference.scoring.live import LiveScores
from inference.segmenter import Encoded, VideoSegmenter
from inference.views import ViewSegmenter


class SharedEncoding:
    """The encoding of the current frame: made for the first segmenter that asks, handed to all others."""

    def __init__(self) -> None:
        self.seconds = 0.0                              # spent encoding so far
        self._encoded: Encoded | None = None

    def next_frame(self) -> None:
        self._encoded = None

    def of(self, frame: np.ndarray, encode: Callable[[np.ndarray], Encoded]) -> Encoded:
        if self._encoded is None:
            begin = time.perf_counter()
            self._encoded = encode(frame)
            if self._encoded.image.is_cuda:
                torch.cuda.synchronize(self._encoded.image.device)
            self.seconds += time.perf_counter() - begin
        return self._encoded


class LockstepSegmenter(VideoSegmenter):
    """A VideoSegmenter that shares the encodings of the current frame with others of its network."""

    def __init__(self, shared: SharedEncoding, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shared = shared

    def encode(self, frame: np.ndarray) -> Encoded:
        return self.shared.of(frame, super().encode)


@dataclass
class RunningCell:
    """A cell at work on a sequence."""

    cell: Cell
    segmenter: ViewSegmenter
    scores: LiveScores
    writer: SequenceWriter | None
    seconds: float = 0.0
    held: list[float] = field(default_factory=list)
    bytes_peak: int = 0

    def step(self, frame: Frame, truth: np.ndarray | None, shared: SharedEncoding) -> None:
        encoding, begin = shared.seconds, time.perf_counter()
        labels = self.segmenter.labels(self.segmenter.step(frame.image, frame.annotation))
        self.seconds += time.perf_counter() - begin - (shared.seconds - encoding)
        if truth is not None:
            self.scores.add(truth, labels)
        if self.writer:
            self.writer.write(frame, labels)
        self.held.append(self.segmenter.frames_held)
        self.bytes_peak = max(self.bytes_peak, self.segmenter.bytes_held)

    def report(self, encode_seconds: float) -> CellReport:
        return CellReport(
            frames=len(self.held), encode_seconds=encode_seconds, step_seconds=self.seconds,
            frames_held_mean=sum(self.held) / len(self.held), frames_held_peak=max(self.held),
            bytes_held_peak=self.bytes_peak, masks=self.writer is not None, scores=self.scores.finish(),
        )


@dataclass(frozen=True)
class Ablation:
    """What every sequence is run with.

    `like`: a segmenter whose network, precision and views all cells have. `folder`: its records are kept there, and
    with `masks` OUTPUT/<cell name>/<sequence>/<frame name>.png.
    """

    cells: list[Cell]
    like: ViewSegmenter
    folder: RunFolder
    masks: bool = False

    def segmenter(self, cell: Cell, shared: SharedEncoding) -> ViewSegmenter:
        """A fresh one."""
        like = self.like.segmenters[0]
        decode, every = "window" if like.windowed else "full", cell.flags["memory_every"]
        return ViewSegmenter(
            lambda: LockstepSegmenter(shared, like.network, cell.bank(), every, like.network.prepared, decode=decode),
            self.like.views,
        )

    def run(self, sequences: Sequence[FolderSequence], overwrite: bool = False) -> dict[str, SequenceRecord]:
        """Run what the folder has no record of; returns the records, sequence by sequence.

        Raises DatasetError for sequences without ground truth in every frame and RunError where the folder holds
        another run, both before any work.
        """
        objects = {sequence.name: _scored_objects(sequence) for sequence in sequences}
        open_ablation(self.folder, self.cells, list(objects), self.masks, overwrite)
        records = {sequence.name: read_record(self.folder, sequence.name) for sequence in sequences}
        missing = {name: record.missing(self.cells, self.folder, name, self.masks) for name, record in records.items()}
        bar = tqdm(
            total=sum(map(len, sequences)), initial=sum(len(s) for s in sequences if not missing[s.name]),
            unit="frame", desc=self.folder.output.name, dynamic_ncols=True, mininterval=0.5,
        )
        with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
            for sequence in (sequence for sequence in sequences if missing[sequence.name]):
                record, cells = records[sequence.name], missing[sequence.name]
                done, reports = self.run_sequence(sequence, cells, objects[sequence.name], pool, bar)
                record.passes.append(done)
                record.cells |= reports
                write_record(self.folder, sequence.name, record)
        return records

    def run_sequence(
        self, sequence: FolderSequence, cells: list[Cell], objects: list[int], pool: Executor, bar: tqdm
    ) -> tuple[Pass, dict[str, CellReport]]:
        """One pass: every frame through all `cells`."""
        started, shared = time.perf_counter(), SharedEncoding()
        with ExitStack() as writers:
            running = [
                RunningCell(
                    cell, self.segmenter(cell, shared), LiveScores(objects, pool),
                    writers.enter_context(replace(self.folder, masks=cell.name).writer(sequence.name))
                    if self.masks else None,
                ) for cell in cells
            ]
            bar.set_postfix_str(f"{sequence.name}, {_few([cell.name for cell in cells])}", refresh=False)
            for frame, truth in read_ahead(_with_truth(sequence)):
                shared.next_frame()
                for cell in running:
                    cell.step(frame, truth, shared)
                bar.update()
            reports = {cell.cell.name: cell.report(shared.seconds) for cell in running}
        done = Pass(
            list(reports), shared.seconds, sum(cell.seconds for cell in running), time.perf_counter() - started
        )
        return done, reports


def _with_truth(sequence: FolderSequence) -> Iterator[tuple[Frame, np.ndarray | None]]:
    """Each frame and its ground truth [H, W]; None for the first and the last, which do not count."""
    scored = set(list(sequence.ground_truth)[1:-1])
    for frame in sequence:
        yield frame, _truth(sequence, frame) if frame.name in scored else None


def _truth(sequence: FolderSequence, frame: Frame) -> np.ndarray:
    path = sequence.ground_truth[frame.name]
    labels = read_labels(path)
    if labels.shape != frame.image.shape[:2]:
        raise DatasetError(f"{path}: expected {in_pixels(frame.image.shape)}, the size of its frame, found "
                           f"{in_pixels(labels.shape)}; score at the size of the frames")
    return (labels > 0).astype(np.uint8) if sequence.binary else labels


def _scored_objects(sequence: FolderSequence) -> list[int]:
    truths = list(sequence.ground_truth.values())
    if not has_full_ground_truth(sequence) or len(truths) != len(sequence):
        raise DatasetError(f"{truths[0].parent}: expected an annotation of each of the {len(sequence)} frames, since "
                           f"an ablation is scored, found {len(truths)}; choose sequences with full annotations")
    return objects_of(truths[0], sequence.binary)


def _few(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
