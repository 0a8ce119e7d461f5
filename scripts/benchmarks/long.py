"""An endless stream at 240 x 427, written to disk and read back: are memory and time per frame constant?

The frames of a generated clip are written as JPEGs in blocks, read by the runner's reader, segmented by a small
network and written as PNGs, as in any evaluation. every-5 runs for `EVERY_5` frames.

The speed of a machine drifts over minutes. Therefore the last thousand frames are also timed in turn with a second
segmenter of the same kind, which started a thousand frames before and is in its own second thousand ("time in turn").
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dataset.folder import Frame
from dataset.masks import read_image, write_image
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.run.read_ahead import ReadAhead
from inference.run.writer import SequenceWriter
from model import STCN, NetworkConfig, load_network
from scripts.benchmarks.measure import Measurement

SIZE, EVERY_5, BLOCK = (240, 427), 1500, 500
COMPACT = NetworkConfig(
    key_backbone="resnet18", value_dim=128, decoder_dims=(128, 64, 64), norm="group", block_norm="group"
)


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    network = load_network(options.weights, device) if options.weights else STCN(COMPACT).to(device).eval()
    for bank, frames in (("lfu", options.frames), ("first_and_latest", options.frames),
                         ("every_k", min(options.frames, EVERY_5))):
        segmenter, newcomer = (VideoSegmenter(network, build_memory(bank), precision=options.precision) for _ in "12")
        part = min(1000, frames // 3)
        seconds, resident, in_turn = [], [], []
        with tempfile.TemporaryDirectory() as folder, SequenceWriter(Path(folder) / "masks") as writer:
            stream = ReadAhead(_stream(Path(folder) / "frames", frames, annotated=(0, frames - 2 * part)))
            for index, frame in enumerate(stream):
                started = time.perf_counter()
                labels, alone = _timed(segmenter, frame.image, None if index else frame.annotation)
                writer.write(frame, labels)
                seconds.append(time.perf_counter() - started)
                resident.append(_resident_mib())
                if index >= frames - 2 * part:
                    in_turn.append((alone, _timed(newcomer, frame.image, frame.annotation)[1]))
        yield _measurement(bank, seconds, resident, in_turn[part:], segmenter)


def _timed(segmenter: VideoSegmenter, image: np.ndarray, annotation: np.ndarray | None) -> tuple[np.ndarray, float]:
    """Labels of the next frame, and the seconds they took."""
    started = time.perf_counter()
    labels = segmenter.labels(segmenter.step(image, annotation))
    return labels, time.perf_counter() - started


def _stream(folder: Path, frames: int, annotated: tuple[int, ...]) -> Iterator[Frame]:
    """Frames read from files. Each file is deleted after it was read, so the disk holds one block."""
    folder.mkdir()
    clip = SyntheticClip(seed=5, size=SIZE, objects=1)
    for start in range(0, frames, BLOCK):
        for t in range(start, min(start + BLOCK, frames)):
            write_image(folder / f"{t:06d}.jpg", clip.frame(t)[0], quality=90)
        for t in range(start, min(start + BLOCK, frames)):
            path = folder / f"{t:06d}.jpg"
            yield Frame(path.stem, read_image(path), clip.frame(t)[1] if t in annotated else None)
            path.unlink()


def _measurement(
    bank: str, seconds: list[float], resident: list[float], in_turn: list[tuple[float, float]],
    segmenter: VideoSegmenter,
) -> Measurement:
    part, count = len(in_turn), len(seconds)
    second, last = slice(part, 2 * part), slice(-part, None)
    memory = [statistics.median(resident[piece]) for piece in (second, last)]
    times = [statistics.median(seconds[piece]) for piece in (second, last)]
    old, young = (statistics.median(times) for times in zip(*in_turn, strict=True))
    return Measurement(
        "long", f"{bank}, {count} frames", statistics.median(seconds), min(seconds), max(seconds), count, {
            "MiB": memory[1], "last / second thousand: memory": memory[1] / memory[0], "time": times[1] / times[0],
            "time in turn": old / young,
            "frames held": segmenter.memory.frames_held, "bank MiB": segmenter.memory.bytes_held / 2**20,
        },
    )


def _resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
