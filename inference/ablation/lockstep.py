"""Many settings of the memory bank over the same frames, in lockstep: a frame is read, padded and key-encoded once.

A key depends on the frame alone (docs/METHOD.md), so all banks share it. Each setting reads its own bank, decodes and
encodes values itself. Masks are scored while they are made.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from dataset.folder import FolderSequence, Frame
from inference.ablation.data import AblationData
from inference.ablation.parts import Part, parts_of
from inference.ablation.records import (
    Pass,
    SequenceRecord,
    SettingReport,
    collect,
    open_ablation,
    read_sequence,
    setting_folder,
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
from inference.scoring.live import LiveScores
from inference.segmenter import VideoSegmenter
from inference.views import ViewOptions, ViewSegmenter
from model.network import STCN
from model.processes import Processes


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
        wanted: the frames whose masks are written; None: all.
    """

    def __init__(
        self, setting: MemoryOptions, segmenter: ViewSegmenter, scores: LiveScores, writer: SequenceWriter | None,
        wanted: frozenset[str] | None = None,
    ) -> None:
        self.setting, self.segmenter, self.scores, self.writer, self.wanted = setting, segmenter, scores, writer, wanted
        self.meter = Meter(segmenter)
        self._held: list[float] = []
        self._step_ms: list[float] = []

    def step(self, frame: Frame, truth: np.ndarray | None, shared: SharedEncoding) -> None:
        encoding, earlier = shared.seconds, self.meter.seconds
        with self.meter.segmenting():
            labels = self.segmenter.labels(self.segmenter.step(frame.image, frame.annotation))
        self.meter.seconds -= shared.seconds - encoding
        self.meter.count()
        self._step_ms.append(round(1000 * (self.meter.seconds - earlier), 3))
        self._held.append(round(self.segmenter.frames_held, 3))
        if truth is not None:
            self.scores.add(truth, labels)
        if self.writer and (self.wanted is None or frame.name in self.wanted):
            self.writer.write(frame, labels)

    def report(self, encode_seconds: float) -> SettingReport:
        meter = self.meter
        return SettingReport(
            frames=meter.frames, encode_seconds=encode_seconds, step_seconds=meter.seconds,
            frames_held_mean=meter.held_mean, frames_held_peak=meter.held_peak, bytes_held_peak=meter.bytes_peak,
            masks=self.writer is not None, scores=self.scores.finish(), held=self._held, step_ms=self._step_ms,
        )


@dataclass(frozen=True)
class Ablation:
    """What every sequence is run with.

    network: of `load_for`; it, `runtime` and `views` are the same for all settings. folder: its records are kept there,
    and with `masks` OUTPUT/<setting name>/<sequence>/<frame name>.png, or as `folder.masks` says.
    """

    settings: list[MemoryOptions]
    network: STCN
    runtime: RuntimeOptions
    views: ViewOptions
    folder: RunFolder
    data: AblationData
    masks: bool = False

    def segmenter(self, setting: MemoryOptions, shared: SharedEncoding) -> ViewSegmenter:
        """A new one."""
        return make_segmenter(self.network, self.runtime, self.views, setting, LockstepSegmenter, shared=shared)

    def run(self, processes: Processes, overwrite: bool = False) -> dict[str, SequenceRecord]:
        """Run what the folder has no record of, each process its part; returns the records, sequence by sequence.

        Raises RunError if the folder holds another run, before any work. Only the records of the first process have
        the parts of the others.
        """
        sequences = self.data.sequences
        if processes.first:
            open_ablation(self.folder, self.settings, [each.name for each in sequences], self.masks, overwrite)
        processes.wait()
        records = {sequence.name: read_sequence(self.folder, sequence.name) for sequence in sequences}
        missing = {
            name: record.missing(self.settings, self.folder, name, self.masks) for name, record in records.items()
        }
        processes.wait()                        # nobody records anything before all know what is missing
        self._run_parts(parts_of(sequences, missing, processes.rank, processes.count), records, missing, processes)
        if processes.first and processes.count > 1:
            collect(self.folder)
            records = {sequence.name: read_sequence(self.folder, sequence.name) for sequence in sequences}
        return records

    def _run_parts(
        self, parts: Sequence[Part], records: dict[str, SequenceRecord], missing: dict[str, list[MemoryOptions]],
        processes: Processes,
    ) -> None:
        """Run the parts of this process and record each. The first process shows its progress."""
        finished = sum(len(sequence) for sequence in self.data.sequences if not missing[sequence.name])
        bar = tqdm(
            total=finished + sum(len(part.sequence) for part in parts), initial=finished, unit="frame",
            desc=self.folder.output.name, dynamic_ncols=True, mininterval=0.5, disable=not processes.first,
        )
        own = records if processes.first else {name: SequenceRecord() for name in records}
        with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
            for part in parts:
                name, record = part.sequence.name, own[part.sequence.name]
                done, reports = self.run_sequence(part.sequence, part.settings, pool, bar)
                record.add([done], reports)
                write_sequence(self.folder, name, record, processes.rank)
            if processes.count > 1:
                bar.set_postfix_str("waiting for the other processes")
            processes.wait()

    def run_sequence(
        self, sequence: FolderSequence, settings: list[MemoryOptions], pool: Executor, bar: "tqdm[Any]",
    ) -> tuple[Pass, dict[str, SettingReport]]:
        """One pass: every frame through all `settings`."""
        started, shared = time.perf_counter(), SharedEncoding()
        with ExitStack() as stack:
            running = [
                RunningSetting(
                    setting, self.segmenter(setting, shared), self.data.live(sequence, pool),
                    stack.enter_context(setting_folder(self.folder, name_of(setting)).writer(sequence.name))
                    if self.masks else None, self.data.wanted(sequence),
                ) for setting in settings
            ]
            bar.set_postfix_str(f"{sequence.name}, {_few([name_of(setting) for setting in settings])}", refresh=False)
            for frame, truth in stack.enter_context(closing(ReadAhead(self.data.frames(sequence)))):
                shared.next_frame()
                for one in running:
                    one.step(frame, truth, shared)
                bar.update()
            reports = {name_of(one.setting): one.report(shared.seconds) for one in running}
        own = sum(report.step_seconds for report in reports.values())
        return Pass(list(reports), shared.seconds, own, time.perf_counter() - started), reports


def _few(names: list[str]) -> str:
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
