"""Decoding in windows against whole frames, on every sequence of DAVIS val with one object and with three.

Windows make sense only with trained masks: those of --weights, or of the compact network. Labels are compared with
that network. Times are those of that network and, if it is another one, of the thesis's network with random weights and
the same windows. Neither network is tuned.
"""

import argparse
import itertools
import math
import statistics
import time
from collections.abc import Iterable, Iterator

import torch

from dataset.davis import davis_sequences
from dataset.folder import Frame
from inference import VideoSegmenter, build_memory
from model import STCN, NetworkConfig, load_network
from model.fast import prepare_for_inference
from model.geometry import grid_size
from model.windows import Window
from scripts.benchmarks.guided import GuidedDecoding
from scripts.benchmarks.measure import Measurement, synchronize
from scripts.benchmarks.video import split

FRAMES = 24          # of each sequence, unless --clip-frames is given


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trained = load_network(options.weights or "compact", device)
    networks = {"given": prepare_for_inference(trained, options.precision)}
    if trained.config != NetworkConfig(mask_channels=trained.config.mask_channels):
        networks["thesis's"] = prepare_for_inference(STCN().to(device).eval(), options.precision)
    sequences = davis_sequences(options.data / "DAVIS", 2016, "val")
    for objects in (1, 3):
        times: dict[str, list[float]] = {name: [] for name in networks}
        for sequence in sequences:
            frames = itertools.islice(sequence, options.clip_frames or FRAMES)
            seconds, equal, share = _measure(frames, objects, networks, options.precision)
            for name, (full, windowed) in seconds.items():
                gain = statistics.median(full) / statistics.median(windowed)
                times[name].append(gain)
                yield Measurement(
                    "window", f"{objects} obj, {sequence.name}, {name} network", statistics.median(windowed),
                    min(windowed), max(windowed), len(windowed),
                    {"times whole frames": gain, "labels equal": equal, "share of the frame": share},
                )
        for name, gains in times.items():
            yield Measurement(
                "window", f"{objects} obj, median gain, {name} network", statistics.median(gains),
                min(gains), max(gains), len(gains),
            )


def _measure(
    frames: Iterable[Frame], objects: int, networks: dict[str, STCN], precision: str
) -> tuple[dict[str, tuple[list[float], list[float]]], float, float]:
    """{network: (seconds of whole frames, of windows)}, share of equal labels, mean share of the frame decoded."""
    pairs, guide = {}, GuidedDecoding(networks["given"])
    for name, network in networks.items():
        full, windowed = (
            VideoSegmenter(network, build_memory("lfu", 2), precision=precision, decode=decode)
            for decode in ("full", "window")
        )
        windowed.decoding = guide if name == "given" else GuidedDecoding(network)
        if windowed.decoding is not guide:
            windowed.decoding.guide = guide
        pairs[name] = full, windowed
    seconds: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in networks}
    equal, share = [], []
    for index, frame in enumerate(frames):
        annotation = None if frame.annotation is None else split(frame.annotation, objects)
        labels = []
        for name, pair in pairs.items():
            for one, spent in zip(pair, seconds[name], strict=True):
                synchronize()
                started = time.perf_counter()
                labels.append(one.labels(one.step(frame.image, annotation)))
                if index:
                    spent.append(time.perf_counter() - started)
        equal.append(float((labels[0] == labels[1]).mean()))
        if index:
            share.append(_share(guide.found, math.prod(grid_size(frame.image.shape[:2]))))
    return seconds, statistics.mean(equal), statistics.mean(share)


def _share(windows: list[list[Window]] | None, cells: int) -> float:
    """Part of the frame that is inside windows, as a mean over objects."""
    if windows is None:
        return 1
    return sum(window.area for several in windows for window in several) / cells / len(windows)
