"""Devices by name, and the CUDA paths as far as a machine without a GPU can test them."""

from contextlib import nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.device import device_of
from inference.memory.entries import Entries
from model import STCN, ConfigError
from model.objective import clip_loss
from model.precision import supported_dtype
from tests.fixtures import EVERY_POLICY, TINY


@pytest.mark.slow
def test_the_loss_runs_on_a_gpu_with_object_counts_on_the_cpu():
    """Shapes and devices only: fake tensors hold no values. A loader gives the counts on the CPU."""
    counts = torch.tensor([2, 1])
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        network = STCN(TINY)
        frames = torch.randn(2, 3, 3, 64, 64)
        labels = torch.zeros(2, 3, 64, 64, dtype=torch.int64)
        outcome = clip_loss(network, frames, labels, counts, 0)
        assert outcome["masks"].device.type == outcome["total"].device.type == "cuda"


@pytest.fixture
def accelerators(monkeypatch):
    """PyTorch with accelerators of this kind, as many as said."""
    def simulate(kind: str, count: int) -> None:
        found = torch.device(kind) if kind else None
        monkeypatch.setattr("torch.accelerator.current_accelerator", lambda check_available=False: found)
        monkeypatch.setattr("torch.accelerator.device_count", lambda: count)
        monkeypatch.delenv("LOCAL_RANK", raising=False)
    return simulate


@pytest.mark.parametrize("name", ["tpu", "meta", "cuda:x", "mps:1", "xpu:", "cpu:0"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ConfigError, match=f"--device {name}: expected auto, cpu, cuda, cuda:n, mps, xpu or xpu:n"):
        device_of(name)


@pytest.mark.parametrize(("kind", "count", "auto"), [
    ("cuda", 2, "cuda:0"), ("xpu", 1, "xpu:0"), ("mps", 1, "mps"), ("mtia", 1, "cpu"), ("", 0, "cpu"),
])
def test_auto_is_the_accelerator_if_there_is_one(kind, count, auto, accelerators):
    accelerators(kind, count)
    assert device_of("auto") == torch.device(auto)
    assert device_of("cpu") == torch.device("cpu")


def test_accelerators_by_name_and_number(accelerators, monkeypatch):
    accelerators("xpu", 2)
    assert device_of("xpu:1") == torch.device("xpu", 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device_of("xpu") == device_of("auto") == torch.device("xpu", 1)


@pytest.mark.parametrize(("kind", "count", "name", "words"), [
    ("", 0, "cuda", "--device cuda:0: found no accelerator; use --device cpu"),
    ("", 0, "mps", "--device mps: found no accelerator; use --device cpu"),
    ("cuda", 1, "xpu:0", "--device xpu:0: found cuda; use --device cuda"),
    ("cuda", 2, "cuda:2", "--device cuda:2: found 2 cuda devices, counted from 0"),
])
def test_a_device_that_is_not_here_is_refused(kind, count, name, words, accelerators):
    accelerators(kind, count)
    with pytest.raises(ConfigError, match=words):
        device_of(name)

class _NoFloat64(TorchDispatchMode):
    """Refuses operations that return float64, as Apple's GPUs do."""

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            assert not (isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64), function
        return result


@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_policies_need_no_float64(memory, tiny_network, monkeypatch):
    """READMem's determinant and the random numbers are computed on the CPU, which has it."""
    def without(dtype, device):
        return torch.float32 if dtype == torch.float64 else dtype

    clip = SyntheticClip(seed=2, size=(48, 64), length=6, objects=2)
    frames = [clip.frame(index) for index in range(6)]

    def masks(mode):
        segmenter = VideoSegmenter(tiny_network, build_memory(memory, 2, top_k=5), 1)
        with mode:
            return [segmenter.labels(segmenter.step(frame, labels if index == 0 else None))
                    for index, (frame, labels) in enumerate(frames)], segmenter.memory.entries

    expected, entries = masks(nullcontext())
    assert entries.usage.dtype == torch.float64
    monkeypatch.setattr("inference.memory.entries.supported_dtype", without)
    found, entries = masks(nullcontext() if memory in ("random", "readmem") else _NoFloat64())
    assert entries.usage.dtype == torch.float32
    assert all((one == other).mean() > 0.99 for one, other in zip(expected, found, strict=True))
    assert Entries.restored(entries.state(), torch.device("cpu")).usage.dtype == torch.float32


def test_float64_is_kept_if_the_device_has_it():
    assert supported_dtype(torch.float64, torch.device("cpu")) == torch.float64
    assert supported_dtype(torch.float64, torch.device("cuda", 0)) == torch.float64
    assert supported_dtype(torch.float64, torch.device("mps")) == torch.float32
    assert supported_dtype(torch.int64, torch.device("mps")) == torch.int64
