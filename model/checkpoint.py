"""Networks on disk: read from our own or the published STCN layout, saved in our own.

Our files are dictionaries: "network_config", "network" (a state dictionary) and, for files that training can
resume from, "training". `model.published_layout` describes the files of the public STCN code. The folders of exported
networks (`model.exported`) can be loaded too.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.config import from_mapping, to_mapping
from model.errors import CheckpointError
from model.exported.manifest import MANIFEST, is_exported
from model.exported.network import ExportedNetwork
from model.network import STCN, NetworkConfig
from model.published_layout import describe_config, from_published
from model.storage import UNREADABLE, read_file, save_file, unreadable
from model.undrawn import Undrawn

OWN_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"      # weights that come with the repository: "compact"


def load_network(path: str | Path, device: str | torch.device = "cpu", mask_channels: int | None = None) -> STCN:
    """Read a network, in evaluation mode, from our own or the published STCN layout, or from an exported folder.

    Args:
        path: weights file, or "compact" for the weights in the repository, or the folder of an exported network, which
        runs on the CPU. device: where the network goes.
        mask_channels: 1 or 2 (None: as in the file); a 1-channel file is widened to 2 with zeros (docs/METHOD.md).
    Raises CheckpointError if the file is missing, damaged, or of another architecture; ConfigError if a package that
    an exported network needs is missing.
    """
    if is_exported(path):
        return _load_exported(path, torch.device(device), mask_channels)
    config, state = read_weights(path)
    if mask_channels is not None and mask_channels != config.mask_channels:
        if mask_channels < config.mask_channels:
            raise CheckpointError(
                f"{path}: expected a network with {mask_channels} mask channel, found {config.mask_channels}; "
                "mask channels can be added but not taken away"
            )
        config = NetworkConfig(**{**vars(config), "mask_channels": mask_channels})
    with Undrawn():         # the file replaces the initial weights
        network = STCN(config)
    load_state(network, state, str(path))
    return network.to(device).eval()


def _load_exported(path: str | Path, device: torch.device, mask_channels: int | None) -> STCN:
    network = ExportedNetwork(path)
    if device.type != "cpu":
        raise CheckpointError(f"{path}: expected the CPU for an exported network, found {device}; give --device cpu "
                              "or the weights that it was made of")
    if mask_channels not in (None, network.config.mask_channels):
        raise CheckpointError(f"{path}: expected an exported network with {mask_channels} mask channels, found "
                              f"{network.config.mask_channels}; export the weights with {mask_channels}")
    return network


def load_state(network: STCN, state: Mapping[str, Tensor], source: str, extra: str = "zeros") -> None:
    """Load `state` into `network`. Raises CheckpointError, which names `source`, if the tensors do not match.

    If `network` has one mask channel more, the value encoder's first convolution is widened. `extra` says how its
    new kernels start: "zeros" or "orthogonal".
    """
    state, own = dict(state), network.state_dict()
    name = "value_encoder.trunk.conv1.weight"
    if name in state and state[name].shape[1] == own[name].shape[1] - 1:
        added = torch.zeros_like(own[name][:, :1])
        if extra == "orthogonal":
            torch.nn.init.orthogonal_(added)
        state[name] = torch.cat([state[name].to(added), added], 1)
    missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or unknown:
        example = min(missing) if missing else min(unknown)
        raise CheckpointError(
            f"{source}: expected the weights of {describe_config(network.config)}, found {len(missing)} tensors "
            f"missing and {len(unknown)} of another network (for example '{example}'); use weights of this architecture"
        )
    for key, tensor in own.items():
        if state[key].shape != tensor.shape:
            raise CheckpointError(
                f"{source}: expected '{key}' of shape {list(tensor.shape)}, found {list(state[key].shape)}; "
                "use weights of this architecture"
            )
    network.load_state_dict(state)


def read_weights(path: str | Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """The configuration and state dictionary (our names) in a file of either layout.

    Raises CheckpointError if the file is missing, damaged, or not a file of weights.
    """
    if is_exported(path):
        raise CheckpointError(f"{path}: expected a weights file, found an exported network, which can only be run; use "
                              "the weights that it was made of")
    path = weights_file(path)
    content = read_file(path)
    if isinstance(content.get("network"), dict) and "network_config" in content:
        return from_mapping(NetworkConfig, content["network_config"], str(path)), content["network"]
    state = {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
    all_tensors = all(isinstance(tensor, Tensor) for tensor in state.values())
    if not all_tensors or not {"key_proj.key_proj.weight", "value_encoder.conv1.weight"} <= state.keys():
        raise CheckpointError(
            f"{path}: expected weights of this project or in the published STCN layout, found "
            f"{len(state)} entries such as '{next(iter(state), 'none')}'; see README, section Weights"
        )
    return from_published(state, path)


def weights_file(path: str | Path) -> Path:
    """The file that `path` stands for: itself, or the repository's weights of this name."""
    own = OWN_WEIGHTS / f"{path}.pth"
    return own if own.parent == OWN_WEIGHTS and own.is_file() and not Path(path).exists() else Path(path)


def weights_digest(path: str | Path) -> str:
    """SHA-256 of the weights file that `path` stands for, in hexadecimal; of an exported network, of its manifest,
    which holds those of its graphs.

    Raises CheckpointError if there is no such file or it cannot be read.
    """
    try:
        with open(Path(path) / MANIFEST if is_exported(path) else weights_file(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def save_network(path: str | Path, network: STCN, training: dict[str, Any] | None = None, half: bool = False) -> None:
    """Write our layout atomically: a complete file or none.

    training: what training needs to resume. half: store kernels in half precision, which halves the file; vectors
    (biases, norms and their statistics) keep their precision.
    """
    state = network.state_dict()
    if half:
        state = {name: tensor.half() if tensor.dim() > 1 else tensor for name, tensor in state.items()}
    content = {"network_config": to_mapping(network.config), "network": state}
    save_file(path, content | ({"training": training} if training else {}))
