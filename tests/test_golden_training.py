"""The clip loss and its gradients equal the public system's training step (tolerances: golden/README.md)."""

import copy
import json
from collections import defaultdict

import numpy as np
import pytest
import torch

from model.network import STCN
from model.objective import clip_loss
from model.published_layout import published_name
from tests.fixtures import relative_error

HALF = 1e-3       # of arrays stored in half precision


@pytest.mark.parametrize(
    ("name", "layout", "dtype", "loss_tolerance", "gradient_tolerance"),
    [
        pytest.param("single", "single", torch.float64, 1e-9, 1e-8, marks=pytest.mark.slow),
        pytest.param("multi", "multi", torch.float64, 1e-9, 1e-8, marks=pytest.mark.slow),
        pytest.param("multi_hard", "multi", torch.float64, 1e-9, 1e-8, marks=pytest.mark.slow),
        pytest.param("single", "single", torch.float32, 1e-5, 1e-3, marks=pytest.mark.slow),
        pytest.param("multi", "multi", torch.float32, 1e-5, 1e-3, marks=pytest.mark.slow),
        pytest.param("multi_hard", "multi", torch.float32, 1e-5, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_training_step(name, layout, dtype, loss_tolerance, gradient_tolerance, shared, seeded_network):
    golden = np.load(shared / "golden" / f"train_step_{name}.npz")
    network = copy.deepcopy(seeded_network(layout)).to(dtype).train()
    labels, frames = torch.from_numpy(golden["labels"]).long(), torch.from_numpy(golden["frames"]).to(dtype)
    outcome = clip_loss(network, frames, labels, labels.flatten(1).amax(1), int(golden["iteration"]))
    outcome["total"].backward()

    assert outcome["total"].dtype == dtype
    assert outcome["hard_fraction"] == pytest.approx(float(golden["hard_fraction"]))
    for ours, theirs in (("total", "total_loss"), ("frame_1", "loss_1"), ("frame_2", "loss_2")):
        assert outcome[ours].item() == pytest.approx(float(golden[theirs]), rel=loss_tolerance)
    for index in (0, 1):
        assert relative_error(outcome["masks"][:, index], golden[f"mask_{index + 1}"]) < HALF

    norms = _gradient_norms(network)
    for module, norm in json.loads(str(golden["grad_norm_json"])).items():
        assert norms[module] == pytest.approx(norm, rel=gradient_tolerance), module
    predict, project = network.decoder.predict.weight.grad, network.key_encoder.key_projection.weight.grad
    assert relative_error(predict, golden["grad_decoder_pred"]) < gradient_tolerance
    assert relative_error(project[:4, ::64], golden["grad_key_proj"]) < gradient_tolerance


def _gradient_norms(network: STCN) -> dict[str, float]:
    """L2 norm of the gradients of each top-level module of the published layout.

    The value encoder's ResNet has biases there that our layout folds into the batch norms' running means. Their
    gradients count as well: those of the batch norms' own biases times what the batch norm multiplies by.
    """
    squares = defaultdict(float)
    for name, parameter in network.named_parameters():
        squares[published_name(name).split(".")[0]] += _square(parameter.grad)
    for module in network.value_encoder.trunk.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            slope = module.weight.detach() / (module.running_var + module.eps).sqrt()
            squares["value_encoder"] += _square(module.bias.grad * slope)
    return {name: square**0.5 for name, square in squares.items()}


def _square(gradient: torch.Tensor) -> float:
    return gradient.double().square().sum().item()
