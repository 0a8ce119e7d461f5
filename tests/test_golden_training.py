"""The clip loss and its gradients equal the public system's training step."""

import json
from collections import defaultdict

import numpy as np
import pytest
import torch

from model.objective import clip_loss
from model.published_layout import published_name
from tests.conftest import relative_error


@pytest.mark.parametrize(
    ("name", "layout"),
    [("single", "single"), pytest.param("multi", "multi", marks=pytest.mark.slow), ("multi_hard", "multi")],
)
def test_training_step(name, layout, shared, seeded_network):
    golden = np.load(shared / "golden" / f"train_step_{name}.npz")
    network = seeded_network(layout).train()
    network.zero_grad()
    labels = torch.from_numpy(golden["labels"]).long()
    outcome = clip_loss(
        network, torch.from_numpy(golden["frames"]), labels, labels.flatten(1).amax(1), int(golden["iteration"])
    )
    outcome["total"].backward()

    assert outcome["hard_fraction"] == pytest.approx(float(golden["hard_fraction"]))
    for ours, theirs in (("total", "total_loss"), ("frame_1", "loss_1"), ("frame_2", "loss_2")):
        assert outcome[ours].item() == pytest.approx(float(golden[theirs]), rel=1e-5)
    for index in (0, 1):
        assert relative_error(outcome["masks"][:, index], golden[f"mask_{index + 1}"]) < 1e-3

    squares = defaultdict(float)
    for parameter_name, parameter in network.named_parameters():
        squares[published_name(parameter_name).split(".")[0]] += parameter.grad.double().square().sum().item()
    for module, norm in json.loads(str(golden["grad_norm_json"])).items():
        assert squares[module] ** 0.5 == pytest.approx(norm, rel=1e-4), module
    assert relative_error(network.decoder.predict.weight.grad, golden["grad_decoder_pred"]) < 1e-4
    assert relative_error(network.key_encoder.key_projection.weight.grad[:4, ::64], golden["grad_key_proj"]) < 1e-4
    network.zero_grad()
