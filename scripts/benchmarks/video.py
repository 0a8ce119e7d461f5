"""Steps over a real clip at 480p: banks and precisions in turn on each frame, with memory that grows as in use.

The plain path is the network as it was trained, in fp32, with dense reads.

Objects: the annotated one, or three vertical thirds of it. Without --weights the thesis's network has random ones. They
take the same time but make windows meaningless: it is given the windows that the compact network finds, which runs
beside it untimed. bf16 is measured where it is native, and on a CPU the tuned network (`model.convolution`).
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from dataset.davis import davis_sequences
from dataset.folder import FolderSequence
from inference import VideoSegmenter, build_memory
from model import STCN, load_network
from model.fast import prepare_for_inference
from scripts.benchmarks.guided import GuidedDecoding
from scripts.benchmarks.measure import Measurement, peak_mib, precisions, reset_peak, synchronize

PLAIN = "plain fp32, every-5"
WARMUP = 17           # frames before a compiled network is timed: four of them are stored


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device, network, sequence = network_and_clip(options)
    for objects in (1, 3):
        segmenters = make_segmenters(network, options)
        guide = None if options.weights else guide_windows(segmenters, device)
        for segmenter in segmenters.values():
            if segmenter.network.compiled:
                _warm_up(segmenter, sequence, objects)
        seconds: dict[str, list[float]] = {name: [] for name in segmenters}
        agreement: dict[str, list[float]] = {name: [] for name in segmenters}
        peaks = dict.fromkeys(segmenters, 0.0)
        for frame in itertools.islice(sequence, options.clip_frames):
            given, labels = None if frame.annotation is None else split(frame.annotation, objects), {}
            if guide is not None:
                guide.step(frame.image, given)
            for name, segmenter in segmenters.items():
                synchronize()
                reset_peak()
                started = time.perf_counter()
                labels[name] = segmenter.labels(segmenter.step(frame.image, given))
                seconds[name].append(time.perf_counter() - started)
                peaks[name] = max(peaks[name], peak_mib())
            for name, result in labels.items():
                agreement[name].append(float((result == next(iter(labels.values()))).mean()))
        first = next(iter(seconds.values()))[1:]
        for name, counted in seconds.items():
            yield Measurement(
                "video", f"{objects} obj, {name}", statistics.median(counted[1:]), min(counted[1:]), max(counted[1:]),
                len(counted) - 1, {
                    "mean": statistics.mean(counted[1:]), "FPS": 1 / statistics.mean(counted[1:]),
                    "times the first (means)": statistics.mean(first) / statistics.mean(counted[1:]),
                    "times (medians)": statistics.median(first) / statistics.median(counted[1:]),
                    "labels as the first": statistics.mean(agreement[name]),
                    "frames held": segmenters[name].memory.frames_held,
                    **({"GPU MiB at most, all banks": peaks[name]} if peaks[name] else {}),
                },
            )


def network_and_clip(options: argparse.Namespace) -> tuple[torch.device, STCN, FolderSequence]:
    """The device, the network of --weights on it (or the thesis's with random weights), and the clip of --sequence."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    network = load_network(options.weights, device) if options.weights else STCN().to(device).eval()
    (sequence,) = davis_sequences(options.data / "DAVIS", 2016, "val", names=[options.sequence])
    return device, network, sequence


def _warm_up(segmenter: VideoSegmenter, sequence: FolderSequence, objects: int) -> None:
    """Compile, and record CUDA graphs, which takes several frames of each kind."""
    for frame in itertools.islice(sequence, WARMUP):
        segmenter.step(frame.image, None if frame.annotation is None else split(frame.annotation, objects))
    segmenter.reset()


def make_segmenters(network: STCN, options: argparse.Namespace) -> dict[str, VideoSegmenter]:
    """Name -> segmenter: those of --variants."""
    segmenters = _all_segmenters(network, options)
    wanted = options.variants or [""]
    return {name: segmenter for name, segmenter in segmenters.items() if any(part in name for part in wanted)}


def _all_segmenters(network: STCN, options: argparse.Namespace) -> dict[str, VideoSegmenter]:
    def lfu(**options: Any) -> VideoSegmenter:
        return VideoSegmenter(network, build_memory("lfu", 2), **options)

    measured = precisions(next(network.parameters()).device)
    plain = {PLAIN: VideoSegmenter(network, build_memory("every_k"), plain=True)} if options.compare == "plain" else {}
    segmenters = plain | {
        "fp32, every-5": VideoSegmenter(network, build_memory("every_k")),
        "fp32, first-and-latest": VideoSegmenter(network, build_memory("first_and_latest")),
    } | {f"{precision}, lfu 2": lfu(precision=precision) for precision in measured}
    if options.compiled:
        fastest = measured[-1]
        compiled = prepare_for_inference(network, fastest, compiled=True)
        segmenters[f"{fastest} compiled, lfu 2"] = VideoSegmenter(compiled, build_memory("lfu", 2), precision=fastest)
    networks = {precision: prepare_for_inference(network, precision) for precision in measured}
    if next(network.parameters()).device.type == "cpu":
        networks["fp32 tuned"] = prepare_for_inference(network, tune=True)
        segmenters["fp32 tuned, lfu 2"] = VideoSegmenter(networks["fp32 tuned"], build_memory("lfu", 2))
    for name, prepared in networks.items():
        segmenters[f"{name}, lfu 2, window"] = VideoSegmenter(
            prepared, build_memory("lfu", 2), precision=name.split()[0], decode="window")
    return segmenters


def guide_windows(segmenters: dict[str, VideoSegmenter], device: torch.device) -> VideoSegmenter:
    """The compact network, whose windows all segmenters that decode in windows use from now on."""
    guide = VideoSegmenter(load_network("compact", device), build_memory("lfu", 2), decode="window")
    guide.decoding = source = GuidedDecoding(guide.network)
    for segmenter in segmenters.values():
        if segmenter.decode == "window":
            segmenter.decoding = decoding = GuidedDecoding(segmenter.network)
            decoding.guide = source
    return guide


def split(annotation: np.ndarray, objects: int) -> np.ndarray:
    """One object as `objects` vertical parts of about equal area."""
    if objects == 1:
        return annotation
    columns = np.nonzero(annotation)[1]
    limits = np.quantile(columns, np.linspace(0, 1, objects + 1)[1:-1])
    parts = 1 + np.searchsorted(limits, np.arange(annotation.shape[1]))
    return np.where(annotation > 0, parts[None], 0).astype(np.uint8)
