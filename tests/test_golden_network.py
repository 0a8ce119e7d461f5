"""Each part of the network equals the public system's output (tolerances: golden/README.md)."""

import numpy as np
import pytest
import torch

from model.matching import dense_weights, gather_read, read, similarity, softmax_affinity, top_k_affinity
from model.normalization import normalize
from tests.fixtures import relative_error

FULL, HALF = 1e-4, 1e-3     # arrays stored in full and in half precision


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "network.npz")


@pytest.fixture(scope="module")
def features(golden, seeded_network):
    network = seeded_network("multi")
    with torch.inference_mode():
        return network.encode_key(_image(golden))


def test_key_encoder(golden, features):
    assert relative_error(features.key, golden["key"]) < FULL
    assert relative_error(features.thin, golden["thin"]) < HALF
    assert relative_error(features.f16, golden["f16"]) < HALF
    assert relative_error(features.f8[:, ::8], golden["f8"]) < HALF
    assert relative_error(features.f4[:, ::16], golden["f4"]) < HALF


def test_value_encoder_sees_own_and_others_masks(golden, features, seeded_network):
    masks = torch.from_numpy(golden["masks"]).transpose(0, 1)
    network = seeded_network("multi")
    with torch.inference_mode():
        values = network.encode_value(_image(golden), features.f16, masks)
    assert relative_error(values[0], golden["value"][:, :, 0]) < HALF


def test_affinity_and_softmax_read(golden):
    memory_key, memory_value = _flat(golden["memory_key"]), _flat(golden["memory_value"])
    affinity = softmax_affinity(memory_key, _flat(golden["key"]))
    assert relative_error(affinity.transpose(1, 2), golden["affinity"]) < FULL
    readout = read(memory_value[:, None], affinity)[:, 0].unflatten(2, golden["key"].shape[2:])
    assert relative_error(readout, golden["read_softmax"]) < FULL


def test_top_k_read_sparse_and_dense(golden):
    memory_key, memory_value = _flat(golden["memory_key"])[0].T, _flat(golden["memory_value"])[0].T.contiguous()
    matches = top_k_affinity(similarity(memory_key, _flat(golden["key"])[0].T), 20)
    expected = golden["read_top20"][0]
    sparse = gather_read(memory_value, matches)
    dense = dense_weights(matches, len(memory_key)) @ memory_value
    for readout in (sparse, dense):
        assert relative_error(readout.T.unflatten(1, expected.shape[1:]), expected) < FULL


def test_decoder(golden, features, seeded_network):
    network = seeded_network("multi")
    with torch.inference_mode():
        logits = network.segment(torch.from_numpy(golden["read_softmax"])[:, None], features)
    assert relative_error(logits, golden["logits"]) < FULL


def _image(golden) -> torch.Tensor:
    return normalize(torch.from_numpy(golden["image"]).permute(2, 0, 1)[None])


def _flat(array: np.ndarray) -> torch.Tensor:
    """[1, C, ..., h, w] -> [1, C, N]"""
    return torch.from_numpy(array).flatten(2)
