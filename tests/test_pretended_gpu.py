"""On a pretended GPU every policy computes what it computes on a CPU, and the host waits only where it has to."""

import copy
import functools
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.quality import mask_quality
from model import STCN, NetworkConfig
from model.fast import prepare_for_inference
from tests.fixtures import EVERY_POLICY
from tests.pretended_gpu import PretendedGpu, pretended_gpu

SMALL = NetworkConfig(key_backbone="resnet18", key_dim=8, value_dim=16, decoder_dims=(16, 8, 8))
LENGTH, EVERY = 6, 2
KINDS = {0: "first", 2: "written", 3: "late object", 5: "written"}     # from frame 3 on entries are evicted
# waits of a frame that is stored, in the policy and for it: the table of docs/SPEED.md. consolidate: of each set of
# objects that appeared together, here two
WAITS_OF_A_WRITE = {
    "afb": 3, "afb_published": 3, "consolidate": 4, "dam": 1, "qdmn": 1, "quality_fifo": 1, "readmem": 2, "rmem": 1,
}
WAITS_OF_THE_FIRST_FRAME = 2           # the constants of `normalize`, once per device

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass
class Run:
    """What a run over some frames gave, per frame: probabilities, label maps, waits."""

    probabilities: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    waits: list[Counter] = field(default_factory=list)


@functools.cache
def clip():
    clip = SyntheticClip(seed=1, size=(32, 48), length=LENGTH, objects=2, late=True)
    return [clip.frame(t) for t in range(LENGTH)]


@functools.cache
def network(precision):
    torch.manual_seed(0)
    return prepare_for_inference(STCN(SMALL), precision)


def segmenter_of(memory, precision="fp32", device="cpu", **options):
    prepared = network(precision)
    if device != "cpu":
        prepared = copy.deepcopy(prepared).to(device)
    return VideoSegmenter(prepared, build_memory(memory, 2, top_k=5), EVERY, precision, **options)


def run(segmenter, frames=range(LENGTH), gpu: PretendedGpu | None = None) -> Run:
    outcome = Run()
    for t in frames:
        if gpu is not None:
            gpu.waits.clear()
        image, annotation = clip()[t]
        probabilities = segmenter.step(image, annotation if KINDS.get(t) in ("first", "late object") else None)
        outcome.labels.append(segmenter.labels(probabilities))
        if gpu is not None:
            outcome.waits.append(Counter(gpu.waits))
        outcome.probabilities.append(probabilities.numpy(force=True))
    return outcome


def assert_equal(ours, expected, tolerance=1e-4):
    """Up to rounding; a label may change if two objects are equally likely."""
    for one, other in zip(ours.probabilities, expected.probabilities, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance)
    assert np.mean([one == other for one, other in zip(ours.labels, expected.labels, strict=True)]) > 0.999


@pytest.mark.parametrize(("decode", "precision"), [
    ("full", "fp32"), *(pytest.param(*case, marks=pytest.mark.slow) for case in (
        ("full", "bf16"), ("window", "fp32"), ("window", "bf16"),
    )),
])
@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_a_policy_computes_the_same_and_waits_for_masks_alone(memory, decode, precision):
    expected = run(segmenter_of(memory, precision, decode=decode))
    with pretended_gpu() as gpu:
        ours = run(segmenter_of(memory, precision, "cuda", decode=decode), gpu=gpu)
    assert_equal(ours, expected)
    for t, waits in enumerate(ours.waits):
        kind = KINDS.get(t, "ordinary")
        allowed = 1                                     # the mask
        allowed += WAITS_OF_THE_FIRST_FRAME if kind == "first" else int(decode == "window")
        allowed += WAITS_OF_A_WRITE.get(memory, 0) if kind in ("written", "late object") else 0
        assert waits.total() <= allowed, (kind, waits)


def test_the_harness_notes_waits_and_refuses_mixed_devices():
    with pretended_gpu() as gpu:
        x = torch.arange(6.0).to("cuda")
        assert x.is_cuda
        assert str(x.device) == "cuda:0"
        gpu.waits.clear()
        waiting = (
            lambda: x[0].item(), lambda: bool(x.sum() > 1), x.tolist, x.cpu, lambda: x.to("cpu"), x.nonzero,
            lambda: x[x > 2], lambda: x[[0, 1]], x.unique, lambda: x.__setitem__(torch.ones_like(x).long(), 3.0),
            lambda: torch.tensor([1.0], device="cuda"), lambda: float(x.max()), lambda: x.numpy(force=True),
            lambda: torch.empty(6).copy_(x),
        )
        for wait in waiting:
            before = gpu.waits.total()
            wait()
            assert gpu.waits.total() == before + 1
        gpu.waits.clear()
        x[2:4] = 1.0
        x[x > 2] = 0                                    # a masked_fill
        x[x.long()].sum().sqrt().add_(1).clamp(max=2)
        assert not gpu.waits
        for mix in (lambda: x + torch.ones(6), lambda: x @ torch.ones(6), lambda: x + x.to("cuda:1"),
                    lambda: torch.stack([x[0], torch.tensor(1.0)])):
            with pytest.raises(RuntimeError, match="same device"):
                mix()
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            x.numpy()


@pytest.mark.parametrize("memory", ["lfu", "novelty"])
def test_a_segmenter_is_frozen_saved_and_loaded(memory, tmp_path):
    expected = run(segmenter_of(memory), range(6))
    with pretended_gpu() as gpu:
        saved, loaded = (segmenter_of(memory, device="cuda") for _ in range(2))
        run(saved, range(4))
        saved.save(tmp_path / "state.pth")
        loaded.load(tmp_path / "state.pth")
        assert_equal(run(loaded, range(4, 6)), Run(expected.probabilities[4:], expected.labels[4:]))
        loaded.freeze()
        assert all(waits.total() == 1 for waits in run(loaded, range(4, 6), gpu).waits)
    on_cpu = segmenter_of(memory)                       # a state saved on a GPU is loaded on a CPU
    on_cpu.load(tmp_path / "state.pth")
    assert_equal(run(on_cpu, range(4, 6)), Run(expected.probabilities[4:], expected.labels[4:]))


def test_the_quality_of_masks_is_computed_without_a_wait():
    probabilities = torch.randn(4, 32, 48).mul(3).softmax(0)
    expected = mask_quality(probabilities)
    with pretended_gpu() as gpu:
        segmenter = segmenter_of("lfu", device="cuda")
        there = segmenter.step(*clip()[0])
        probabilities = probabilities.to("cuda")
        gpu.waits.clear()
        ours, empty = mask_quality(probabilities), mask_quality(probabilities[:1])
        of_frame, key = segmenter.quality(there), segmenter.mean_key
        assert not gpu.waits
        assert ours.area.is_cuda
        assert ours.confidence.is_cuda
        assert key.is_cuda
        assert of_frame.area.shape == (1,)
        assert empty.area.shape == (0,)
        gpu.waits.clear()
        host = ours.cpu()
        assert gpu.waits.total() == 1
        np.testing.assert_allclose(host.area.numpy(), expected.area.numpy())
        np.testing.assert_allclose(host.confidence.numpy(), expected.confidence.numpy(), atol=1e-5)
        assert ours.state == expected.state
