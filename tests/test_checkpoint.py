"""Weights on disk: both layouts are exact; damaged, foreign and malicious files are refused."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch

from model import STCN, CheckpointError, NetworkConfig, load_network
from model.checkpoint import OWN_WEIGHTS, read_weights, save_network, weights_digest
from model.published_layout import from_published, to_published
from model.storage import save_file
from scripts import convert_checkpoint
from tests.fixtures import TINY


def test_own_layout_round_trip(tiny_network, tmp_path):
    save_network(tmp_path / "own.pth", tiny_network)
    drawn = torch.get_rng_state()
    loaded = load_network(tmp_path / "own.pth")
    assert torch.equal(torch.get_rng_state(), drawn)       # no initial weights, which take longer than all the rest
    assert loaded.config == TINY
    assert not loaded.training
    assert _equal(loaded.state_dict(), tiny_network.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["own.pth"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["multi", "single"])
def test_published_layout_folds_biases_exactly_and_back(layout, seeded_state, tmp_path):
    published = seeded_state(layout)
    config, state = from_published(published)
    assert config == NetworkConfig(mask_channels=2 if layout == "multi" else 1)
    network = STCN(config)
    network.load_state_dict(state)
    exported = to_published(network)
    assert {name: tensor.shape for name, tensor in exported.items()} == {n: t.shape for n, t in published.items()}
    biased = [name for name in published if name.startswith("value_encoder.layer1.0.conv1")]
    assert biased == ["value_encoder.layer1.0.conv1.weight", "value_encoder.layer1.0.conv1.bias"]
    mean = "value_encoder.layer1.0.bn1.running_mean"
    assert torch.equal(exported[mean], published[mean] - published[biased[1]])
    assert not exported[biased[1]].any()
    assert _equal(from_published(exported)[1], state)


@pytest.mark.slow
def test_convert_command_goes_both_ways(seeded_state, tmp_path, capsys):
    save_file(tmp_path / "stcn.pth", seeded_state("multi"))
    convert_checkpoint.main([str(tmp_path / "stcn.pth"), str(tmp_path / "own.pth")])
    convert_checkpoint.main([str(tmp_path / "own.pth"), str(tmp_path / "back.pth"), "--to", "published"])
    states = [read_weights(tmp_path / name)[1] for name in ("stcn.pth", "own.pth", "back.pth")]
    assert _equal(states[0], states[1])
    assert _equal(states[0], states[2])
    with pytest.raises(SystemExit, match="2"):
        convert_checkpoint.main([str(tmp_path / "stcn.pth"), str(tmp_path / "own.pth")])
    assert "exists; give --overwrite" in capsys.readouterr().err


def test_a_static_network_is_widened_by_zeros_and_computes_the_same(tmp_path):
    torch.manual_seed(0)
    single = STCN(NetworkConfig(**{**vars(TINY), "mask_channels": 1})).eval()
    save_network(tmp_path / "static.pth", single)
    widened = load_network(tmp_path / "static.pth", mask_channels=2)
    frame, masks = torch.randn(1, 3, 32, 48), torch.rand(1, 2, 32, 48)
    with torch.inference_mode():
        f16 = single.encode_key(frame).f16
        torch.testing.assert_close(
            widened.encode_value(frame, f16, masks), single.encode_value(frame, f16, masks), rtol=1e-4, atol=1e-5
        )
    save_network(tmp_path / "video.pth", widened)
    with pytest.raises(CheckpointError, match="can be added but not taken away"):
        load_network(tmp_path / "video.pth", mask_channels=1)


def test_a_file_of_the_earlier_compact_architecture_loads(tmp_path):
    """The first `compact.pth` had ResNet-18 encoders and this decoder; the digest is that of its tensors."""
    torch.manual_seed(0)
    earlier = STCN(NetworkConfig(key_backbone="resnet18", value_backbone="resnet18", mask_channels=2, key_dim=64,
                                 value_dim=128, decoder_dims=(128, 64, 64), norm="batch", block_norm="batch")).eval()
    save_network(tmp_path / "earlier.pth", earlier, half=True)
    stored = torch.load(tmp_path / "earlier.pth")["network"]
    tensors = "\n".join(f"{name} {list(tensor.shape)} {tensor.dtype}" for name, tensor in sorted(stored.items()))
    assert hashlib.sha256(tensors.encode()).hexdigest().startswith("81fd164f4ab50cc6")
    loaded = load_network(tmp_path / "earlier.pth")
    assert loaded.config == earlier.config
    assert all(torch.equal(tensor, stored[name].float()) for name, tensor in loaded.state_dict().items()
               if tensor.is_floating_point())
    frame, masks = torch.randn(1, 3, 32, 48), torch.rand(1, 2, 32, 48)
    with torch.inference_mode():
        key, expected = loaded.encode_key(frame), earlier.encode_key(frame)
        torch.testing.assert_close(key.key, expected.key, rtol=0.02, atol=0.02)      # rounded to half precision
        torch.testing.assert_close(loaded.encode_value(frame, key.f16, masks),
                                   earlier.encode_value(frame, expected.f16, masks), rtol=0.02, atol=0.02)


def test_damaged_and_foreign_files_are_named(tiny_network, tmp_path):
    save_network(good := tmp_path / "good.pth", tiny_network)
    content = good.read_bytes()
    cases = {
        "missing.pth": (None, "no such file"),
        "truncated.pth": (content[: len(content) // 2], "does not load"),
        "empty.pth": (b"", "does not load"),
        "text.pth": (b"these are not weights", "does not load"),
    }
    for name, (data, words) in cases.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=f"{name}.*{words}"):
            load_network(tmp_path / name)
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match=r"resnet\.pth.*published STCN layout.*layer\.weight"):
        load_network(tmp_path / "resnet.pth")
    state = {name: tensor for name, tensor in tiny_network.state_dict().items() if "decoder" not in name}
    torch.save({"network_config": vars(TINY), "network": state}, tmp_path / "half.pth")
    with pytest.raises(CheckpointError, match=r"half\.pth.*missing"):
        load_network(tmp_path / "half.pth")


def test_the_digest_of_weights_is_that_of_their_file(weights, tmp_path):
    assert weights_digest(weights) == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert weights_digest("compact") == hashlib.sha256((OWN_WEIGHTS / "compact.pth").read_bytes()).hexdigest()
    for path, words in ((tmp_path / "nowhere.pth", "found no such file"), (tmp_path, "found a folder")):
        with pytest.raises(CheckpointError, match=f"{path}: expected a weights file, {words}"):
            weights_digest(path)


class _Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def test_a_malicious_pickle_does_not_run(tmp_path):
    for name, write in (("torch.pth", torch.save), ("plain.pth", lambda o, p: p.write_bytes(pickle.dumps(o)))):
        write({"network": _Malicious(tmp_path / "touched")}, tmp_path / name)
        with pytest.raises(CheckpointError, match="does not load"):
            load_network(tmp_path / name)
    assert not (tmp_path / "touched").exists()


def _equal(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
