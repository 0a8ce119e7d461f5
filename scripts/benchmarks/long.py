"""An endless stream at 240 x 427, rendered, written to disk and read back: is memory flat, is time per frame?

The frames of a generated clip are written as JPEGs in blocks, read by the runner's reader, segmented by a small
network and written as PNGs, as any evaluation does. every-5 runs beside it for `EVERY_5` frames.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from dataset.folder import Frame
from dataset.masks import read_image, write_image
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.runner import read_ahead
from inference.writer import SequenceWriter
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
        segmenter = VideoSegmenter(network, build_memory(bank), precision=options.precision)
        seconds, resident = [], []
        with tempfile.TemporaryDirectory() as folder, SequenceWriter(Path(folder) / "masks") as writer:
            for frame in read_ahead(_stream(Path(folder) / "frames", frames)):
                started = time.perf_counter()
                writer.write(frame, segmenter.labels(segmenter.step(frame.image, frame.annotation)))
                seconds.append(time.perf_counter() - started)
                resident.append(_resident_mib())
        yield _measurement(bank, seconds, resident, segmenter)


def _stream(folder: Path, frames: int) -> Iterator[Frame]:
    """Frames read from files; a file is gone once it was read, so the disk holds one block."""
    folder.mkdir()
    clip = SyntheticClip(seed=5, size=SIZE, objects=1)
    for start in range(0, frames, BLOCK):
        for t in range(start, min(start + BLOCK, frames)):
            write_image(folder / f"{t:06d}.jpg", clip.frame(t)[0], quality=90)
        for t in range(start, min(start + BLOCK, frames)):
            path = folder / f"{t:06d}.jpg"
            yield Frame(path.stem, read_image(path), clip.frame(0)[1] if t == 0 else None)
            path.unlink()


def _measurement(bank: str, seconds: list[float], resident: list[float], segmenter: VideoSegmenter) -> Measurement:
    part = min(1000, len(seconds) // 3)
    second, last = slice(part, 2 * part), slice(-part, None)
    memory = [statistics.median(resident[piece]) for piece in (second, last)]
    times = [statistics.median(seconds[piece]) for piece in (second, last)]
    notes = {
        "MiB": memory[1], "last / second thousand: memory": memory[1] / memory[0], "time": times[1] / times[0],
        "frames held": segmenter.memory.frames_held, "bank MiB": segmenter.memory.bytes_held / 2**20,
    }
    name, count = f"{bank}, {len(seconds)} frames", len(seconds)
    return Measurement("long", name, statistics.median(seconds), min(seconds), max(seconds), count, notes)


def _resident_mib() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
