"""The network prepared for inference computes what the network computes; matching in blocks is exact."""

import copy
import shutil

import pytest
import torch

from inference import VideoSegmenter, build_memory
from model import STCN, NetworkConfig, grouped_search, matching
from model.blocks import NORMS, ResidualBlock
from model.fast import prepare_for_inference
from model.shared_convolution import SharedConvolutionBlock, share_convolutions

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


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile wants a C++ compiler")
def test_a_compiled_network_computes_the_same(network, monkeypatch):
    from torch._inductor import config  # takes seconds

    monkeypatch.setattr(config, "compile_threads", 1)   # half the work of one file per kernel, compiled by another
    monkeypatch.setattr(config, "cpp_wrapper", True)    # process, with vector instructions
    monkeypatch.setattr(config.cpp, "simdlen", 1)
    network = copy.deepcopy(network)
    for trunk in (network.key_encoder.trunk, network.value_encoder.trunk):
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3):
            del stage[1:]                               # blocks like the first one
    compiled = prepare_for_inference(network, compiled=True)
    for value, expected in zip(outputs(compiled), outputs(network), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-3, atol=1e-3)


def test_shared_channels_equal_repeated_ones():
    torch.manual_seed(0)
    block = ResidualBlock(24, 16)
    own, shared = torch.randn(6, 8, 5, 7), torch.randn(2, 16, 5, 7)
    whole = block(torch.cat([own, shared.repeat_interleave(3, 0)], 1))
    assert torch.equal(block(own, shared), whole)
    sharing = share_convolutions(block, own.shape[1])
    assert isinstance(sharing, SharedConvolutionBlock)
    torch.testing.assert_close(sharing(own, shared), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sharing(own[:2], shared), block(own[:2], shared), rtol=1e-5, atol=1e-5)


def test_blocks_that_cannot_share_their_convolutions_stay_as_they_are():
    for block in (ResidualBlock(24, 24), ResidualBlock(24, 16, NORMS["group"])):
        assert share_convolutions(block, 8) is block


@pytest.mark.parametrize(
    ("cells", "part", "group"), [(5, 7, 7), (64, 8, 4), (1, 1000, 2), (33, 90, 3), (8, 60, 1), (33, 24, 12)]
)
@pytest.mark.parametrize("large", [0, 1000], ids=["groups", "all"])
def test_matching_in_parts_is_the_same_matching(monkeypatch, cells, part, group, large):
    torch.manual_seed(0)
    settings = {
        "QUERY_CELLS": (cells, 1), "FEW_CELLS": (cells, 1), "CELLS_AT_ONCE": (cells, 1), "ENTRIES_AT_ONCE": (part, 1),
        "GROUP": group, "LARGE": large, "RANKED_GROUPS": 8,
    }
    for name, value in settings.items():
        monkeypatch.setattr(grouped_search, name, value)
    keys, query = torch.randn(90, 8), torch.randn(33, 8)
    few, some = torch.zeros(90, dtype=torch.bool), torch.rand(90) < 0.4
    few[[3, 50]] = True
    for mask, found in zip((None, some, few), grouped_search.match(keys, query, 6, (None, some, few)), strict=True):
        similarities = matching.similarity(keys, query)
        allowed = similarities if mask is None else similarities.masked_fill(~mask, -torch.inf)
        k = 2 if mask is few else 6                         # what a mask hides has no weight
        expected = matching.top_k_affinity(allowed, k)
        assert torch.equal(found.indices[:, :k], expected.indices)
        torch.testing.assert_close(found.weights[:, :k], expected.weights)
        assert not found.weights[:, k:].any()
    (nothing,) = grouped_search.match(keys, query, 6, (torch.zeros(90, dtype=torch.bool),))
    assert not nothing.weights.any()


def test_in_place_the_network_itself_is_prepared(network):
    given, expected = copy.deepcopy(network), prepare_for_inference(network).state_dict()
    prepared = prepare_for_inference(given, in_place=True)
    assert prepared is given
    assert not hasattr(network, "prepared")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in prepared.state_dict().items())


def test_what_cannot_be_prepared_is_refused(network):
    with pytest.raises(ValueError, match=r"expected one of fp32, bf16, fp16, tf32 .* found fp64; the plain path"):
        prepare_for_inference(network, "fp64")
    fast = prepare_for_inference(network, "bf16")
    with pytest.raises(ValueError, match="as it was loaded, found one prepared in bf16"):
        VideoSegmenter(fast, build_memory("lfu"), precision="fp64")
    with pytest.raises(ValueError, match="as it was loaded, found one prepared in bf16"):
        VideoSegmenter(fast, build_memory("lfu"))


def test_keys_are_projected_in_fp32_under_autocast_too(tiny_network):
    frame = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    encoder = tiny_network.key_encoder
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(frame)
    assert features.f16.dtype == features.thin.dtype == torch.bfloat16
    assert features.key.dtype == torch.float32
    assert torch.equal(features.key, encoder.key_projection(features.f16.float()))
