"""The network prepared for inference computes what the network computes; the read stays exact when it is split."""

import pytest
import torch

from inference import build_memory
from inference.memory import bank
from model import STCN, NetworkConfig
from model.blocks import ResidualBlock
from model.fast import prepare_for_inference
from tests.test_memory import stream

SMALL = NetworkConfig(key_backbone="resnet18", key_dim=8, value_dim=32, decoder_dims=(32, 16, 16))


@pytest.fixture(scope="module")
def network():
    """Frozen batch norms with statistics and scales that are not 0 and 1."""
    torch.manual_seed(1)
    network = STCN(SMALL).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network


@torch.inference_mode()
def outputs(network, dtype=torch.float32):
    torch.manual_seed(2)
    frame, masks = torch.randn(1, 3, 48, 64).to(dtype), torch.rand(1, 3, 48, 64)
    features = network.encode_key(frame)
    values = network.encode_value(frame, features.f16, masks)
    return features.key, values.float(), network.segment(values, features)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_a_prepared_network_computes_the_same(network, precision, tolerance):
    fast = prepare_for_inference(network, precision)
    dtype = next(fast.decoder.parameters()).dtype
    for value, expected in zip(outputs(fast, dtype), outputs(network), strict=True):
        assert (value.float() - expected).abs().max() <= tolerance * expected.abs().max()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    assert outputs(fast, dtype)[0].dtype == torch.float32           # keys
    assert prepare_for_inference(fast, precision) is fast
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())     # the oracle is intact


def test_shared_channels_equal_repeated_ones():
    torch.manual_seed(0)
    block = ResidualBlock(24, 16)
    own, shared = torch.randn(6, 8, 5, 7), torch.randn(2, 16, 5, 7)
    whole = block(torch.cat([own, shared.repeat_interleave(3, 0)], 1))
    torch.testing.assert_close(block(own, shared), whole, rtol=1e-5, atol=1e-5)


def test_a_read_split_over_query_cells_is_the_same_read(monkeypatch):
    whole = [readout for _, _, readout in stream(build_memory("every_k", top_k=4), 12, late=5) if readout]
    monkeypatch.setattr(bank.MemoryBank, "_cells_at_once", lambda self: 5)
    split = [readout for _, _, readout in stream(build_memory("every_k", top_k=4), 12, late=5) if readout]
    for one, other in zip(whole, split, strict=True):
        torch.testing.assert_close(one.values, other.values)
        assert torch.equal(one.matches.indices, other.matches.indices)
