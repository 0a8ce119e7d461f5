"""The CUDA paths, as far as a machine without a GPU can test them: tensors must be on the same device."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from inference.device import device_of
from model import STCN, ConfigError
from model.objective import clip_loss
from tests.conftest import TINY


def test_the_loss_runs_on_a_gpu_with_object_counts_on_the_cpu():
    """Shapes and devices only: fake tensors hold no values. A loader gives the counts on the CPU."""
    counts = torch.tensor([2, 1])
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda"):
        network = STCN(TINY)
        frames = torch.randn(2, 3, 3, 64, 64)
        labels = torch.zeros(2, 3, 64, 64, dtype=torch.int64)
        outcome = clip_loss(network, frames, labels, counts, 0)
        assert outcome["masks"].device.type == outcome["total"].device.type == "cuda"


@pytest.mark.parametrize("name", ["tpu", "meta", "cuda:x", "mps"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ConfigError, match=f"--device {name}: expected auto, cpu, cuda or cuda:n"):
        device_of(name)
