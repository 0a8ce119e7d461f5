"""On a real GPU: golden outputs, no waits, compiled and eager, a second device. Skipped if there is none."""

import functools

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.memory import POLICIES
from model import load_network
from model.fast import prepare_for_inference
from tests.test_golden_propagation import BANKS, propagate
from tests.test_pretended_gpu import WAITS_OF_A_WRITE

GPUS = torch.cuda.device_count()
LENGTH, LATE, EVERY = 12, 4, 3

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(GPUS == 0, reason="needs a GPU; none was found")]


@pytest.fixture(scope="module")
def clip():
    return frames_of_clip()


@functools.cache
def frames_of_clip():
    clip = SyntheticClip(seed=1, size=(96, 160), length=LENGTH, objects=2, late=True)
    return [clip.frame(t) for t in range(LENGTH)]


def labels_of(clip, device, memory="lfu", precision="fp32", compiled=False, **options):
    """The label maps of the clip, by the repository's own weights."""
    network = prepare_for_inference(load_network("compact", device), precision, compiled)
    segmenter = VideoSegmenter(network, build_memory(memory, 2), EVERY, precision, **options)
    return [
        segmenter.labels(segmenter.step(image, annotation if t in (0, LATE) else None))
        for t, (image, annotation) in enumerate(clip)
    ]


@functools.cache
def labels_of_the_cpu(memory, decode):
    return labels_of(frames_of_clip(), "cpu", memory, decode=decode)


def agreement(ours, expected):
    return np.mean([one == other for one, other in zip(ours, expected, strict=True)])


@pytest.mark.parametrize("name", BANKS)
def test_golden_propagation(name, shared, seeded_network):
    golden = np.load(shared / "golden" / f"propagate_{name}.npz")
    network = seeded_network("multi")
    try:
        run = propagate(golden, name, network.to("cuda"), precision="fp64")
    finally:
        network.cpu()
    assert all((labels == mask).all() for labels, mask in zip(run.labels[1:], golden["mask"][1:], strict=True))


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999), ("bf16", 0.99), ("fp16", 0.99)])
@pytest.mark.parametrize("decode", ["full", "window"])
@pytest.mark.parametrize("memory", sorted(POLICIES))
def test_masks_are_those_of_the_cpu(clip, memory, decode, precision, least):
    ours = labels_of(clip, "cuda", memory, precision, decode=decode)
    assert agreement(ours, labels_of_the_cpu(memory, decode)) >= least


@pytest.mark.parametrize("memory", sorted(POLICIES))
def test_a_step_does_not_wait(clip, memory):
    """PyTorch raises where the host waits. Masks are collected at the end."""
    network = prepare_for_inference(load_network("compact", "cuda"))
    segmenter, coming = VideoSegmenter(network, build_memory(memory, 2), EVERY), []
    for t, (image, annotation) in enumerate(clip):
        stored = t in (0, LATE) or t - (segmenter.last_write or 0) >= EVERY
        waiting = t == 0 or (stored and memory in WAITS_OF_A_WRITE)
        torch.cuda.set_sync_debug_mode("default" if waiting else "error")
        try:
            coming.append(segmenter.download(segmenter.step(image, annotation if t in (0, LATE) else None)))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert agreement([each.result() for each in coming], labels_of(clip, "cuda", memory)) == 1


def test_a_compiled_network_computes_the_same(clip):
    """With several sizes and numbers of objects, as CUDA graphs."""
    for size in (slice(None), slice(0, 80)):
        part = [(image[:, size], annotation[:, size]) for image, annotation in clip]
        assert agreement(labels_of(part, "cuda", compiled=True), labels_of(part, "cuda")) >= 0.999


@pytest.mark.skipif(GPUS < 2, reason="needs a second GPU; none was found")
def test_a_second_device_computes_the_same(clip):
    """While the first one, the current device, has nothing to do: nothing may wait for it in place of the second."""
    assert agreement(labels_of(clip, "cuda:1"), labels_of(clip, "cuda:0")) == 1
