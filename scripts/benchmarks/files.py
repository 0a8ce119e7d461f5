"""Reading frames and writing masks: what they cost beside a network, and how fast they are when nothing is computed.

The instant segmenter takes no time, so the speed of the runner is that of reading, copying and writing.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from dataset.davis import davis_sequences
from dataset.folder import FolderSequence
from dataset.masks import read_labels, write_labels
from inference import VideoSegmenter, build_memory
from inference.run.record import SequenceReport
from inference.run.runner import run_sequence
from inference.run.writer import SequenceWriter
from inference.transfer import Download, upload
from inference.views import ViewSegmenter
from model import STCN, load_network
from scripts.benchmarks.measure import Measurement

RUNS = 3


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    (sequence,) = davis_sequences(options.data / "DAVIS", 2016, "val", names=[options.sequence])
    yield from _alone(sequence)
    yield _instant(davis_sequences(options.data / "DAVIS", 2016, "val"), Instant(device))
    torch.manual_seed(0)
    network = load_network(options.weights, device) if options.weights else STCN().to(device).eval()
    segmenter = ViewSegmenter([VideoSegmenter(network, build_memory("lfu", 2), precision=options.precision)])
    walls, shares = [], []
    for _ in range(RUNS):
        report = _segment(sequence, segmenter)
        walls.append(report.wall_seconds)
        shares.append(report.wall_seconds / report.seconds - 1)
    middle = sorted(range(RUNS), key=walls.__getitem__)[RUNS // 2]
    yield Measurement(
        "files", f"{options.sequence}, {options.precision}, lfu 2", walls[middle], min(walls), max(walls), RUNS,
        {"frames": str(len(sequence)), "over compute alone": shares[middle], "worst": max(shares)},
    )


class Instant(ViewSegmenter):
    """In place of a network: the mask of a frame is that of the frame before, moved by a pixel."""

    objects, frames_held, bytes_held, algorithms = [1], 0.0, 0, {}

    def __init__(self, device: torch.device) -> None:
        self.device, self.labels_now = device, np.zeros((1, 1), np.uint8)

    def reset(self, keep_memory: bool = False) -> None:
        """The first annotation of the next video replaces the mask."""

    def step(self, frame: np.ndarray, annotation: np.ndarray | None = None) -> Tensor:
        """The frame goes to the device as it does for a network. Returns the label map [H, W] uint8."""
        upload(frame, self.device)
        self.labels_now = np.roll(self.labels_now, 1, axis=1) if annotation is None else annotation
        return upload(self.labels_now, self.device)

    def download(self, probabilities: Tensor) -> Download:
        return Download(probabilities, np.arange(2, dtype=np.uint8))


def _instant(sequences: Sequence[FolderSequence], segmenter: Instant) -> Measurement:
    """All sequences through the runner."""
    frames = sum(map(len, sequences))
    walls = [sum(_segment(sequence, segmenter).wall_seconds for sequence in sequences) for _ in range(RUNS)]
    middle = statistics.median(walls)
    return Measurement("files", "instant segmenter", middle, min(walls), max(walls), RUNS,
                       {"frames": str(frames), "FPS": frames / middle, "FPS at best": frames / min(walls)})


def _segment(sequence: FolderSequence, segmenter: ViewSegmenter) -> SequenceReport:
    segmenter.reset()
    with tempfile.TemporaryDirectory() as folder, tqdm(disable=True) as bar:
        return run_sequence(sequence, segmenter, SequenceWriter(Path(folder) / "masks"), bar)


def _alone(sequence: FolderSequence) -> Iterator[Measurement]:
    """One thread that does nothing but read frames, or write the masks of the ground truth."""
    masks = [(read_labels(path) > 0).astype(np.uint8) for path in sequence.ground_truth.values()]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.png" for index in range(len(masks))]
        yield _timed("reading a frame, one thread", sequence.read, len(masks))
        writing = _timed("writing a mask, one thread", lambda at: write_labels(paths[at], masks[at]), len(masks))
        writing.notes = {"bytes": f"{statistics.mean(path.stat().st_size for path in paths):.0f}"}
        yield writing


def _timed(name: str, task: Callable[[int], object], count: int) -> Measurement:
    """`task` of 0, 1, ..."""
    seconds = []
    for index in range(count):
        started = time.perf_counter()
        task(index)
        seconds.append(time.perf_counter() - started)
    return Measurement("files", name, statistics.median(seconds), min(seconds), max(seconds), count)
