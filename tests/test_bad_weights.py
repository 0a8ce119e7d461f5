"""Damaged and foreign weights: every command refuses them in one line and runs no code in them."""

import pickle
from pathlib import Path

import pytest
import torch
import yaml

import train
from dataset.synthetic import make_static
from inference import VideoSegmenter, build_memory
from model import STCN, CheckpointError, NetworkConfig
from model.checkpoint import save_network
from scripts import convert_checkpoint
from tests.fixtures import TINY
from tests.odd import davis, own_video, write_clip

TINY_YAML = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(TINY).items()}


class Malicious:
    """Its pickle creates a file if it is loaded without care."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def truncated(path, whole):
    path.write_bytes(whole.read_bytes()[:20_000])


def text(path, whole):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")


def empty(path, whole):
    path.touch()


def malicious(path, whole):
    torch.save({"network": Malicious(path.with_name("touched"))}, path)


def malicious_pickle(path, whole):
    path.write_bytes(pickle.dumps({"network": Malicious(path.with_name("touched"))}))


def of_another_network(path, whole):
    torch.save({"layer1.weight": torch.zeros(3), "fc.bias": torch.zeros(3)}, path)


def other_sizes(path, whole):
    torch.manual_seed(0)
    save_network(path, STCN(NetworkConfig(**{**vars(TINY), "key_dim": 8})), {"iteration": 1})


DAMAGED = {
    truncated: "does not load .it is damaged or cut off.; copy or download it again",
    text: "does not load .a text file, 'version https://git-lfs",
    empty: "does not load .an empty file",
    malicious: "does not load .it holds objects or code beside tensors, which are never run",
    malicious_pickle: "does not load .it holds objects or code beside tensors, which are never run",
}


def weights_of_an_evaluation(file, root):
    write_clip(root)
    davis(root, file)


def weights_of_a_video(file, root):
    write_clip(root)
    own_video(root, file)


def convert(file, root):
    convert_checkpoint.main([str(file), str(root / "converted.pth")])


def train_from(file, root, flag="--init-weights"):
    make_static(root / "static", images=2, size=(48, 64), progress=False)
    stage = {
        "network": TINY_YAML, "data": {"crop": 48, "sources": [{"layout": "pairs", "root": str(root / "static")}]},
        "training": {"iterations": 1, "batch_size": 1, "workers": 0, "pretrained": False},
    }
    (root / "stage.yaml").write_text(yaml.safe_dump(stage))
    train.main(["--config", str(root / "stage.yaml"), "--output", str(root / "run"), "--device", "cpu",
                flag, str(file)])


def resume_from(file, root):
    train_from(file, root, "--resume")


PLACES = (weights_of_an_evaluation, weights_of_a_video, convert, train_from, resume_from)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_and_not_run(damage, place, weights, tmp_path, refused):
    damage(tmp_path / "bad.pth", weights)
    with refused(r"bad\.pth: expected", DAMAGED[damage]):
        place(tmp_path / "bad.pth", tmp_path)
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "converted.pth").exists()


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_segmenters_state_is_read_as_carefully(damage, tiny_network, weights, tmp_path):
    damage(tmp_path / "bad.pth", weights)
    with pytest.raises(CheckpointError, match=rf"bad\.pth: expected .*{DAMAGED[damage]}"):
        VideoSegmenter(tiny_network, build_memory("lfu")).load(tmp_path / "bad.pth")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("place", PLACES)
def test_weights_of_another_network_are_named(place, weights, tmp_path, refused):
    of_another_network(tmp_path / "bad.pth", weights)
    words = "weights alone; use --init-weights" if place is resume_from else "2 entries such as 'layer1.weight'"
    with refused(r"bad\.pth: expected", words):
        place(tmp_path / "bad.pth", tmp_path)


@pytest.mark.parametrize("place", [train_from, resume_from])
def test_weights_of_other_sizes_are_named(place, weights, tmp_path, refused):
    other_sizes(tmp_path / "bad.pth", weights)
    with refused(r"bad\.pth: expected '.*' of shape \[16.* found \[8.*; use weights of this architecture"):
        place(tmp_path / "bad.pth", tmp_path)


@pytest.mark.parametrize("place", PLACES)
def test_a_folder_is_not_a_weights_file(place, tmp_path, refused):
    (tmp_path / "bad.pth").mkdir()
    with refused(r"bad\.pth: expected .*weights.*, found"):
        place(tmp_path / "bad.pth", tmp_path)


def test_a_network_of_other_sizes_is_not_converted_to_the_published_layout(weights, tmp_path, refused):
    with refused(
        r"tiny\.pth: expected the thesis's network, found a network of key_backbone=efficientnet_lite0, "
        "value_backbone=efficientnet_lite0, key_dim=16 and 4 more; the published layout has no other sizes"
    ):
        convert_checkpoint.main([str(weights), str(tmp_path / "out.pth"), "--to", "published"])
    assert not (tmp_path / "out.pth").exists()
