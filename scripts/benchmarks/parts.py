"""Where the time of a frame goes: key, value, decoding, and everything else (matching, read-out, bank, labels).

The thesis's network with random weights on a real clip at 480p, as in the section video, and the same variants.
"""

import argparse
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from inference import VideoSegmenter
from scripts.benchmarks.measure import Measurement, synchronize
from scripts.benchmarks.video import guide_windows, make_segmenters, network_and_clip, split

FRAMES = 12                    # unless --clip-frames is given; two of them store a value
REST = "rest"
PARTS = ("key", "value", "decoding", REST)


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device, network, sequence = network_and_clip(options)
    for objects in (1, 3):
        segmenters = make_segmenters(network, options)
        guide = None if options.weights else guide_windows(segmenters, device)
        spent: dict[str, Counter[str]] = {name: Counter() for name in segmenters}
        steps: dict[str, list[float]] = {name: [] for name in segmenters}
        for name, segmenter in segmenters.items():
            _watch(segmenter, spent[name])
        for index, frame in enumerate(itertools.islice(sequence, options.clip_frames or FRAMES)):
            given = None if frame.annotation is None else split(frame.annotation, objects)
            if guide is not None:
                guide.step(frame.image, given)
            for name, segmenter in segmenters.items():
                seconds = _timed(lambda: segmenter.labels(segmenter.step(frame.image, given)))   # noqa: B023
                if index:
                    steps[name].append(seconds)
                else:
                    spent[name].clear()
        for name, counted in steps.items():
            yield _measurement(f"{objects} obj, {name}", counted, spent[name])


def _measurement(name: str, steps: list[float], spent: Counter[str]) -> Measurement:
    parts = {part: spent[part] / len(steps) for part in PARTS}
    parts[REST] = statistics.mean(steps) - sum(parts.values())
    return Measurement("parts", name, statistics.median(steps), min(steps), max(steps), len(steps), parts)


def _watch(segmenter: VideoSegmenter, spent: Counter[str]) -> None:
    """From now on add the seconds of each part to `spent`."""
    owners: dict[str, tuple[Any, str]] = {
        "key": (segmenter.encoder, "encode"), "value": (segmenter.decoding, "encode_value"),
        "decoding": (segmenter.decoding, "logits"),
    }
    for part, (owner, method) in owners.items():
        setattr(owner, method, _counted(getattr(owner, method), part, spent))


def _counted(call: Callable[..., Any], part: str, spent: Counter[str]) -> Callable[..., Any]:
    def counted(*arguments: Any) -> Any:
        synchronize()
        started = time.perf_counter()
        result = call(*arguments)
        synchronize()
        spent[part] += time.perf_counter() - started      # type: ignore[assignment]
        return result

    return counted


def _timed(call: Callable[[], object]) -> float:
    synchronize()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started

