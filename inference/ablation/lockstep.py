"""Many settings of the memory bank over the same frames, in lockstep: a frame is read, padded and key-encoded once.

A key depends on the frame alone (docs/METHOD.md), so all banks share it. Each setting reads its own bank, decodes and
encodes values itself. Masks are scored while they are made.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dataset.davis import has_full_ground_truth
from dataset.errors import DatasetError
from dataset.folder import FolderSequence, Frame
from dataset.masks import in_pixels, read_labels
from inference.ablation.records import (
    Pass,
    SequenceRecord,
    SettingReport,
    open_ablation,
    read_sequence,
    write_sequence,
)
from inference.ablation.settings import name_of
from inference.encoding import Encoded
from inference.evaluation import make_segmenter
from inference.memory import MemoryOptions
from inference.run.folder import RunFolder
from inference.run.meter import Meter
from inference.run.read_ahead import ReadAhead
from inference.run.writer import SequenceWriter
from inference.runtime import RuntimeOptions
from inference.scoring.davis import objects_of
from inference.scoring.live import LiveScores
from inference.segmenter import VideoSegmenter
from inference.views import ViewOptions, ViewSegmenter
from model.network import STCN


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

    def __init__(self, *arguments: Any, shared: SharedEncoding, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.shared = shared

    def encode(self, frame: np.ndarray) -> Encoded:
        return self.shared.of(frame, super().encode)


class RunningSetting:
    """A setting that segments a sequence.

    Args:
        scores: of its masks. writer: entered by the caller; None: the masks are not written.
    """

    def __init__(
        self, setting: MemoryOptions, segmenter: ViewSegmenter, scores: LiveScores, writer: SequenceWriter | None
    ) -> None:
        self.setting, self.segmenter, self.scores, self.writer = setting, segmenter, scores, writer
        self.meter = Meter(segmenter)

    def step(self, frame: Frame, truth: np.ndarray | None, shared: SharedEncoding) -> None:
        encoding = shared.seconds
        with self.meter.segmenting():
            labels = self.segmenter.labels(self.segmenter.step(frame.image, frame.annotation))
        self.meter.seconds -= shared.seconds - encoding
        self.meter.count()
        if truth is not None:
            self.scores.add(truth, labels)
        if self.writer:
            self.writer.write(frame, labels)

    def report(self, encode_seconds: float) -> SettingReport:
        meter = self.meter
        return SettingReport(
            frames=meter.frames, encode_seconds=encode_seconds, step_seconds=meter.seconds,
            frames_held_mean=meter.held_mean, frames_held_peak=meter.held_peak, bytes_held_peak=meter.bytes_peak,
            masks=self.writer is not None, scores=self.scores.finish(),
        )


@dataclass(frozen=True)
class Ablation:
    """What every sequence is run with.

    network: of `load_for`; it, `runtime` and `views` are the same for all settings. folder: its records are kept there,
    and with `masks` OUTPUT/<setting name>/<sequence>/<frame name>.png.
    """

    settings: list[MemoryOptions]
    network: STCN
    runtime: RuntimeOptions
    views: ViewOptions
    folder: RunFolder
    masks: bool = False

    def segmenter(self, setting: MemoryOptions, shared: SharedEncoding) -> ViewSegmenter:
        """A new one."""
        return make_segmenter(self.network, self.runtime, self.views, setting, LockstepSegmenter, shared=shared)

    def run(self, sequences: Sequence[FolderSequence], overwrite: bool = False) -> dict[str, SequenceRecord]:
        """Run what the folder has no record of; returns the records, sequence by sequence.

        Raises DatasetError for sequences without ground truth in every frame and RunError if the folder holds another
        run, both before any work.
        """
        objects = {sequence.name: _scored_objects(sequence) for sequence in sequences}
        open_ablation(self.folder, self.settings, list(objects), self.masks, overwrite)
        records = {sequence.name: read_sequence(self.folder, sequence.name) for sequence in sequences}
        missing = {
            name: record.missing(self.settings, self.folder, name, self.masks) for name, record in records.items()
        }
        bar = tqdm(
            total=sum(map(len, sequences)), initial=sum(len(s) for s in sequences if not missing[s.name]),
            unit="frame", desc=self.folder.output.name, dynamic_ncols=True, mininterval=0.5,
        )
        with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
            for sequence in (sequence for sequence in sequences if missing[sequence.name]):
                record, settings = records[sequence.name], missing[sequence.name]
                done, reports = self.run_sequence(sequence, settings, objects[sequence.name], pool, bar)
                record.passes.append(done)
                record.reports |= reports
                write_sequence(self.folder, sequence.name, record)
        return records

    def run_sequence(
        self, sequence: FolderSequence, settings: list[MemoryOptions], objects: list[int], pool: Executor,
        bar: "tqdm[Any]",
    ) -> tuple[Pass, dict[str, SettingReport]]:
        """One pass: every frame through all `settings`."""
        started, shared = time.perf_counter(), SharedEncoding()
        with ExitStack() as stack:
            running = [
                RunningSetting(
                    setting, self.segmenter(setting, shared), LiveScores(objects, pool),
                    stack.enter_context(replace(self.folder, masks=name_of(setting)).writer(sequence.name))
                    if self.masks else None,
                ) for setting in settings
            ]
            bar.set_postfix_str(f"{sequence.name}, {_few([name_of(setting) for setting in settings])}", refresh=False)
            for frame, truth in stack.enter_context(closing(ReadAhead(_with_truth(sequence)))):
                shared.next_frame()
                for one in running:
                    one.step(frame, truth, shared)
                bar.update()
            reports = {name_of(one.setting): one.report(shared.seconds) for one in running}
        own = sum(report.step_seconds for report in reports.values())
        return Pass(list(reports), shared.seconds, own, time.perf_counter() - started), reports


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
