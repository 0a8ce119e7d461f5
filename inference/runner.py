"""From sequences to a result folder: read ahead, segment, write behind; report; go on where a run stopped.

A run folder holds one folder of masks per finished sequence and `run.json`: all settings, versions, and per
sequence the frames, seconds, and entries held.
"""

import json
import platform
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import cv2
import torch
from tqdm import tqdm

from dataset.folder import FolderSequence
from inference.scoring import write_text
from inference.segmenter import VideoSegmenter
from inference.writer import SequenceWriter

T = TypeVar("T")


class RunError(ValueError):
    """A run folder that this run may not write to."""


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


def run_sequences(
    sequences: list[FolderSequence], make_segmenter: Callable[[], VideoSegmenter], output: Path, settings: dict,
    overwrite: bool = False, overlays: bool = False, masks: str = "",
) -> dict:
    """Segment every sequence into `output/<masks>/<sequence>/<frame>.png`; returns the content of run.json.

    Sequences that an earlier run with the same `settings` finished are kept. Raises RunError where the folder
    holds a run with other settings, unless `overwrite`.
    """
    run_file = output / "run.json"
    run = _open_run(run_file, settings, overwrite)
    output.mkdir(parents=True, exist_ok=True)
    done = {s.name for s in sequences if s.name in run["sequences"] and (output / masks / s.name).is_dir()}
    segmenter = make_segmenter()
    bar = tqdm(
        total=sum(map(len, sequences)), initial=sum(len(s) for s in sequences if s.name in done), unit="frame",
        desc=output.name, dynamic_ncols=True, mininterval=0.5,
    )
    with bar:
        for sequence in sequences:
            if sequence.name in done:
                continue
            segmenter.reset()
            writer = SequenceWriter(
                output / masks / sequence.name, output / "overlays" / sequence.name if overlays else None
            )
            report = run_sequence(sequence, segmenter, writer, bar)
            run["sequences"][sequence.name] = asdict(report)
            run["totals"] = _totals(run["sequences"])
            write_text(run_file, json.dumps(run, indent=1) + "\n")
    return run


def run_sequence(
    sequence: FolderSequence, segmenter: VideoSegmenter, writer: SequenceWriter, bar: tqdm
) -> SequenceReport:
    """Segment one sequence with a fresh segmenter."""
    memory, started = segmenter.memory, time.perf_counter()
    seconds, held, peak_bytes = 0.0, [], 0
    with writer:
        for frame in read_ahead(sequence):
            begin = time.perf_counter()
            labels = segmenter.labels(segmenter.step(frame.image, frame.annotation))
            seconds += time.perf_counter() - begin
            writer.write(frame, labels)
            held.append(memory.frames_held)
            peak_bytes = max(peak_bytes, memory.bytes_held)
            bar.set_postfix_str(f"{sequence.name}, {len(held) / seconds:.1f} FPS", refresh=False)
            bar.update()
    return SequenceReport(
        frames=len(held), objects=len(segmenter.objects), seconds=seconds,
        wall_seconds=time.perf_counter() - started, frames_held_mean=sum(held) / len(held),
        frames_held_peak=max(held), bytes_held_peak=peak_bytes,
    )


def read_ahead(items: Iterable[T], depth: int = 4) -> Iterator[T]:
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


def _open_run(run_file: Path, settings: dict, overwrite: bool) -> dict:
    """The run to go on with: the one in the file where its settings are these, or a new one."""
    fresh = {"settings": settings, "versions": _versions(), "totals": {}, "sequences": {}}
    if overwrite or not run_file.exists():
        run_file.unlink(missing_ok=True)
        return fresh
    try:
        run = json.loads(run_file.read_text())
        earlier = run["settings"]
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{run_file}: expected the record of a run, found something else; choose another --output, "
                       "or give --overwrite") from None
    settings = json.loads(json.dumps(settings))
    differing = [key for key in settings | earlier if settings.get(key) != earlier.get(key)]
    if differing:
        key = differing[0]
        raise RunError(
            f"{run_file}: holds a run with {key}={earlier.get(key)!r}, this one has {settings.get(key)!r}; choose "
            "another --output, or give --overwrite"
        )
    return run


def _totals(sequences: dict[str, dict]) -> dict:
    """Over the whole set: frames / seconds (docs/METHOD.md), and the bank's size."""
    reports = list(sequences.values())
    frames, seconds, wall = (sum(r[key] for r in reports) for key in ("frames", "seconds", "wall_seconds"))
    return {
        "frames": frames, "seconds": seconds, "wall_seconds": wall,
        "fps": frames / seconds, "fps_with_files": frames / wall,
        "frames_held_mean": sum(r["frames_held_mean"] * r["frames"] for r in reports) / frames,
        "frames_held_peak": max(r["frames_held_peak"] for r in reports),
        "bytes_held_peak": max(r["bytes_held_peak"] for r in reports),
    }


def _versions() -> dict[str, str]:
    packages = ("torch", "torchvision", "numpy", "pillow")
    return {
        "python": platform.python_version(), **{name: metadata.version(name) for name in packages},
        "opencv": cv2.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
