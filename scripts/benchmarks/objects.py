"""Many objects: peak memory and time per frame, by how many of them the network sees at once.

The objects are the fields of a grid, painted on the first of a few generated frames at 480 x 854; the bank is LFU with
2 frames, which stores every second one. Each measurement has a process of its own, since memory that was once used
stays resident.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.allocation import keep_freed_memory
from model import load_network
from scripts.benchmarks.measure import Measurement, peak_mib, synchronize

SIZE, FRAMES = (480, 854), 4
CASES = ((1, 1), (30, 1), (30, 2), (30, 4), (30, 8), (30, 30))       # (objects, of them at once)


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    for objects, at_once in CASES:
        case = [objects, at_once, str(options.weights or "compact"), options.precision, *SIZE]
        child = subprocess.run([sys.executable, __file__, json.dumps(case)], cwd=ROOT, check=True, capture_output=True,
                               text=True)
        peak, seconds = json.loads(child.stdout.splitlines()[-1])
        yield Measurement("objects", f"{objects} objects, {at_once} at once", statistics.median(seconds), min(seconds),
                          max(seconds), len(seconds), {"peak MiB": peak})


def grid(objects: int, size: tuple[int, int]) -> np.ndarray:
    """A label map [H, W] of rectangles 1 to `objects` in rows of six, with background between them."""
    labels, rows = np.zeros(size, np.uint8), -(-objects // 6)
    height, width = size[0] // rows, size[1] // 6
    for i in range(objects):
        top, left = i // 6 * height, i % 6 * width
        labels[top + height // 4 : top + height - height // 8, left + width // 4 : left + width - width // 8] = i + 1
    return labels


def measure(
    objects: int, at_once: int, weights: str, precision: str, size: tuple[int, int]
) -> tuple[float, list[float]]:
    """Peak memory in MiB (of the GPU, if there is one) and the seconds of each frame after the first."""
    keep_freed_memory()                                       # as in every command
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    segmenter = VideoSegmenter(load_network(ROOT / weights if "/" in weights else weights, device),
                               build_memory("lfu", 2), 2, precision, objects_at_once=at_once)
    clip, seconds = SyntheticClip(seed=5, size=size, objects=1), []
    for t in range(FRAMES):
        frame, annotation = clip.frame(t)[0], grid(objects, size) if t == 0 else None
        started = time.perf_counter()
        segmenter.labels(segmenter.step(frame, annotation))
        synchronize()
        seconds.append(time.perf_counter() - started)
    return peak_mib() or _peak_resident_mib(), seconds[1:]


def _peak_resident_mib() -> float:
    """Of this process since it began."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
    except OSError:                                           # not Linux; in bytes on macOS
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    many, together, network, digits, *sides = json.loads(sys.argv[1])
    print(json.dumps(measure(many, together, network, digits, tuple(sides))))
