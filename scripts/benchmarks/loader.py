"""Loading: milliseconds per training sample (three frames of 384 x 384) on one core, disk cache warm."""

import argparse
import statistics
import time
from collections.abc import Iterator

from dataset.clips import ClipConfig, Clips, SourceConfig
from scripts.benchmarks.measure import Measurement

SAMPLES, WARMUP = 60, 10


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    sources = {
        "static sample (ECSSD)": SourceConfig(str(options.data / "static/ECSSD"), "pairs"),
        "video sample (DAVIS 2016 480p)": SourceConfig(str(options.data / "DAVIS"), "davis2016"),
    }
    for name, source in sources.items():
        clips = Clips(ClipConfig((source,)), seed=0, batch_size=16, iterations=300_000)
        seconds = []
        for index in range(WARMUP + SAMPLES):
            started = time.perf_counter()
            clips[index]
            seconds.append(time.perf_counter() - started)
        counted = seconds[WARMUP:]
        yield Measurement("loader", name, statistics.median(counted), min(counted), max(counted), SAMPLES)
