"""From sequences to a result folder: read ahead, segment, write behind; report; go on where a run stopped.

A run folder holds one folder of masks per finished sequence and `run.json`: all settings, versions, and per
sequence the frames, seconds, and entries held. `.records/<sequence>.json` says that a sequence is finished.
"""

import json
import math
import platform
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import cv2
import torch
from tqdm import tqdm

from dataset.files import write_text
from dataset.folder import FolderSequence
from inference.errors import RunError
from inference.run.ranks import Ranks
from inference.run.writer import SequenceWriter
from inference.telemetry.recorder import Recorder, remove, telemetry_paths
from inference.views import ViewSegmenter

T = TypeVar("T")


@dataclass
class SequenceReport:
    """What segmenting one sequence took."""

    frames: int
    objects: int
    seconds: float                # in the segmenter: reading and writing files excluded
    wall_seconds: float           # everything
    frames_held_mean: float       # memory utilisation (thesis, table 3): entries / HW, after each frame
    frames_held_peak: float
    bytes_held_peak: int          # of the bank's entries


@dataclass(frozen=True)
class RunFolder:
    """Where a run's files lie, and what it was asked to do."""

    output: Path
    settings: dict                # what the masks depend on: a run is gone on with only where all of it is the same
    about: dict                   # what else a reader may want to know: paths, device
    masks: str = ""               # folder of masks below `output`
    overlays: bool = False
    telemetry: bool = False       # record what the bank holds; the masks do not depend on it

    @property
    def file(self) -> Path:
        return self.output / "run.json"

    def record(self, sequence: str) -> Path:
        return self.output / ".records" / f"{sequence}.json"

    def results(self, sequence: str) -> Path:
        return self.output / self.masks / sequence

    def writer(self, sequence: str) -> SequenceWriter:
        return SequenceWriter(self.results(sequence), self.output / "overlays" / sequence if self.overlays else None)

    def recorder(self, sequence: FolderSequence, segmenter: ViewSegmenter) -> Recorder | None:
        """Of the first view's bank; None where no telemetry is asked for."""
        if not self.telemetry:
            return None
        size = segmenter.views[0].size(*sequence.size)
        return Recorder(segmenter.segmenters[0].memory, self.output / "telemetry", sequence.name, size)

    def left_by(self, sequence: str) -> list[Path]:
        """Folders and files that a finished sequence leaves."""
        overlays = [self.output / "overlays" / sequence] if self.overlays else []
        telemetry = telemetry_paths(self.output / "telemetry", sequence) if self.telemetry else []
        return [self.results(sequence), *overlays, *telemetry]

    def finished(self, sequence: str) -> bool:
        """Whether all that is asked for is there: masks without their telemetry are made again, the same."""
        return self.record(sequence).is_file() and all(path.exists() for path in self.left_by(sequence))


def run_sequences(
    sequences: Sequence[FolderSequence], segmenter: ViewSegmenter, folder: RunFolder,
    ranks: Ranks, overwrite: bool = False, wanted: Callable[[Any], frozenset[str] | None] = lambda _: None,
) -> dict:
    """Segment every sequence, each process its share; returns the content of run.json.

    Sequences that an earlier run with the same settings finished are kept. `wanted` names the frames of a sequence
    whose masks are written (None: all). Raises RunError where the folder holds a run with other settings,
    unless `overwrite`.
    """
    if ranks.first:
        _open_run(folder, [sequence.name for sequence in sequences], overwrite)
    ranks.wait()
    mine = ranks.share(sequences)
    done = [sequence for sequence in mine if folder.finished(sequence.name)]
    bar = tqdm(
        total=sum(map(len, mine)), initial=sum(map(len, done)), unit="frame", desc=folder.output.name,
        dynamic_ncols=True, mininterval=0.5, position=ranks.rank,
    )
    with bar:
        for sequence in mine:
            if sequence in done:
                continue
            segmenter.reset()
            recorder = folder.recorder(sequence, segmenter)
            report = run_sequence(sequence, segmenter, folder.writer(sequence.name), bar, wanted(sequence), recorder)
            folder.record(sequence.name).parent.mkdir(exist_ok=True)
            write_text(folder.record(sequence.name), json.dumps(asdict(report)) + "\n")
    ranks.wait()
    return _close_run(folder, sequences, write=ranks.first)


def run_sequence(
    sequence: FolderSequence, segmenter: ViewSegmenter, writer: SequenceWriter, bar: tqdm,
    wanted: frozenset[str] | None = None, recorder: Recorder | None = None,
) -> SequenceReport:
    """Segment one sequence with a fresh segmenter; write the masks of the `wanted` frames (None: all)."""
    started = time.perf_counter()
    seconds, held, peak_bytes = 0.0, [], 0
    with writer, recorder or nullcontext():
        for frame in read_ahead(sequence):
            begin = time.perf_counter()
            labels = segmenter.labels(segmenter.step(frame.image, frame.annotation))
            seconds += time.perf_counter() - begin
            if wanted is None or frame.name in wanted:
                writer.write(frame, labels)
            held.append(segmenter.frames_held)
            peak_bytes = max(peak_bytes, segmenter.bytes_held)
            if recorder is not None:
                recorder.record(frame.name)
            bar.set_postfix_str(f"{sequence.name}, {len(held) / seconds:.1f} FPS", refresh=False)
            bar.update()
    return SequenceReport(
        frames=len(held), objects=len(segmenter.objects), seconds=seconds,
        wall_seconds=time.perf_counter() - started, frames_held_mean=sum(held) / len(held),
        frames_held_peak=max(held), bytes_held_peak=peak_bytes,
    )


def read_ahead(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """Iterate `items` in a thread, at most `depth` ahead; its exceptions are raised here."""
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def offer(entry: tuple[str, object]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not offer(("item", item)):
                    return
            offer(("end", None))
        except BaseException as error:
            offer(("error", error))

    threading.Thread(target=read, name="read ahead", daemon=True).start()
    try:
        while True:
            kind, value = ready.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        stop.set()


def describe(totals: dict) -> str:
    """One line for people."""
    return (
        f"{totals['frames']} frames at {totals['fps']:.2f} FPS ({totals['fps_with_files']:.2f} with files), memory "
        f"frames held: {totals['frames_held_mean']:.2f} on average, {totals['frames_held_peak']:.2f} at most"
    )


def _open_run(folder: RunFolder, names: list[str], overwrite: bool) -> None:
    """Go on with the run in the folder where its settings are these; otherwise begin one.

    Nothing that no run wrote is ever replaced: folders in the way are an error.
    """
    settings = json.loads(json.dumps(folder.settings))
    if folder.file.exists() and not overwrite:
        try:
            earlier = json.loads(folder.file.read_text())["settings"]
            differing = [key for key in settings | earlier if settings.get(key) != earlier.get(key)]
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{folder.file}: expected the record of a run, found something else; choose another "
                           "--output, or give --overwrite") from None
        if differing:
            key = differing[0]
            raise RunError(
                f"{folder.file}: holds a run with {key}={earlier.get(key)!r}, this one has {settings.get(key)!r}; "
                "choose another --output, or give --overwrite"
            )
        return
    for record in (folder.output / ".records").glob("*.json"):      # what the earlier run wrote, and nothing else
        for path in replace(folder, overlays=True, telemetry=True).left_by(record.stem):
            remove(path)
        record.unlink()
    for path in (path for name in names for path in folder.left_by(name)):
        if path.exists():
            raise RunError(f"{path}: expected no such folder or file before the run, found one that no run recorded; "
                           "choose another --output, or remove it")
    folder.output.mkdir(parents=True, exist_ok=True)
    write_run(folder, {"settings": settings, "about": folder.about, "versions": versions()})


def _close_run(folder: RunFolder, sequences: Sequence[FolderSequence], write: bool) -> dict:
    """Gather the records of all processes into run.json."""
    run = json.loads(folder.file.read_text())
    for outdated in ("scores", "scores_per_sequence"):      # of an earlier selection of sequences, perhaps
        run.pop(outdated, None)
    reports = {s.name: json.loads(folder.record(s.name).read_text()) for s in sequences}
    run |= {"totals": _totals(list(reports.values())), "sequences": reports}
    if write:
        write_run(folder, run)
    return run


def _totals(reports: list[dict]) -> dict:
    """Over the whole set: frames / seconds (docs/METHOD.md), and the bank's size."""
    frames, seconds, wall = (sum(r[key] for r in reports) for key in ("frames", "seconds", "wall_seconds"))
    return {
        "frames": frames, "seconds": seconds, "wall_seconds": wall,
        "fps": frames / seconds, "fps_with_files": frames / wall,
        "frames_held_mean": sum(r["frames_held_mean"] * r["frames"] for r in reports) / frames,
        "frames_held_peak": max(r["frames_held_peak"] for r in reports),
        "bytes_held_peak": max(r["bytes_held_peak"] for r in reports),
    }


def write_run(folder: RunFolder, run: dict) -> None:
    """Write run.json; values that are not numbers become null, as JSON wants."""
    write_text(folder.file, json.dumps(_finite(run), indent=1, allow_nan=False) + "\n")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def versions() -> dict[str, str]:
    """What the numbers of a run depend on."""
    packages = ("torch", "torchvision", "numpy", "pillow")
    return {
        "python": platform.python_version(), **{name: metadata.version(name) for name in packages},
        "opencv": cv2.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
