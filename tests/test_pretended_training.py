"""On a pretended GPU a step of the trainer computes what it computes on a CPU, and the host waits once.

Backward cannot be pretended: the engine of autograd asks the driver. So the step on the GPU is given the gradients of
the step on the CPU. How often backward waits, and what processes exchange, only a real GPU can tell.
"""

from collections import Counter

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from model import STCN, NetworkConfig
from model.normalization import normalize
from model.objective import ObjectiveConfig
from model.training.config import TrainingConfig
from model.training.log import TrainingLog
from model.training.signals import StopSignals
from model.training.trainer import Trainer
from tests.pretended_gpu import pretended_gpu

SMALL = NetworkConfig(key_backbone="resnet18", key_dim=8, value_dim=16, decoder_dims=(16, 8, 8))

pytestmark = pytest.mark.usefixtures("one_thread")


class Samples(Dataset):
    """Two clips, of two objects and of one."""

    def __getitem__(self, index):
        torch.manual_seed(index)
        objects = 2 - index % 2
        return {
            "frames": torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8),
            "labels": torch.randint(0, objects + 1, (3, 32, 48), dtype=torch.uint8),
            "num_objects": objects, "index": index, "gap": 5 * index,
        }


def step(device, objective, output, log_every, accumulate=1):
    """The second iteration of a tiny training -> the trainer and its means."""
    torch.manual_seed(0)
    config = TrainingConfig(iterations=9, batch_size=2, accumulate=accumulate, max_gradient_norm=1.0, workers=0,
                            precision="fp32", log_every=log_every, ema=0.5)
    trainer = Trainer(STCN(SMALL), Samples(), config, objective, output, torch.device(device), {})
    trainer.iteration = 1                               # the first one shows a picture, for which the host waits
    log = TrainingLog(output, 1, 9, "test", active=False)
    batch = default_collate([trainer.samples[0], trainer.samples[1]])
    return trainer, lambda: trainer._step(batch, log, StopSignals())


def backward_that_notes(gradients, trainer):
    original = Tensor.backward

    def backward(self):
        original(self)
        gradients.append({name: x.grad.clone() for name, x in trainer.network.named_parameters()})
    return backward


def backward_of(gradients, trainer):
    """Sets the noted gradients: those of a second part of the batch hold the first one's already."""
    coming = iter([{name: gradient.to("cuda") for name, gradient in each.items()} for each in gradients])

    def backward(self):
        assert self.is_cuda
        for name, gradient in next(coming).items():
            trainer.network.get_parameter(name).grad = gradient
    return backward


@pytest.mark.parametrize(("regularizer", "log_every", "accumulate"), [
    ("none", 1, 2),
    *(pytest.param(name, 9, 1, marks=pytest.mark.slow) for name in ("dropout", "reallocation", "none")),
])
def test_a_step_computes_the_same_and_waits_once(regularizer, log_every, accumulate, tmp_path, monkeypatch):
    objective = ObjectiveConfig(bootstrap_start=0, bootstrap_span=10, dice_weight=1, regularizer=regularizer)
    expected, take = step("cpu", objective, tmp_path, log_every, accumulate)
    gradients: list[dict[str, Tensor]] = []
    with monkeypatch.context() as patch:
        patch.setattr(Tensor, "backward", backward_that_notes(gradients, expected))
        means = take()
    with pretended_gpu() as gpu, monkeypatch.context() as patch:
        ours, take = step("cuda", objective, tmp_path, log_every, accumulate)
        patch.setattr(Tensor, "backward", backward_of(gradients, ours))
        normalize(torch.zeros(3, 1, 1, dtype=torch.uint8).to("cuda"))       # its constants are made once per device
        gpu.waits.clear()
        found = take()
        assert gpu.waits.total() == 1, Counter(gpu.waits)
        (wait,) = gpu.waits
        assert wait.place.startswith("model/training/values.py")
        if regularizer != "dropout":                    # a GPU draws other numbers
            assert found == pytest.approx(means, rel=1e-4)
        for network, other in ((expected.network, ours.network), (expected.result, ours.result)):
            for name, parameter in network.named_parameters():
                value = other.get_parameter(name).detach().cpu()
                torch.testing.assert_close(value, parameter.detach(), msg=name)
        assert expected.result is not expected.network
    curves = {"frame_1", "frame_2", "hard_fraction", "cross_entropy", "iou_frame_1", "iou_frame_2", "gap"}
    always = {"total", "gradient_norm", "stop", "learning_rate"}
    assert found.keys() == means.keys() == (always | curves if log_every == 1 else always)
