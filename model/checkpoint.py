"""Weights on disk: our own layout, the published STCN layout both ways, atomic saving, safe loading.

Our files are dictionaries: "network_config", "network" (a state dictionary) and, for files that training can
resume from, "training". Files of the public STCN code are bare state dictionaries.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from model.config import from_mapping, to_mapping
from model.errors import CheckpointError
from model.network import STCN, NetworkConfig

OWN_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"      # what the repository brings, by name: "compact"


# (published, ours): prefixes of parameter names. ResNet stages inside keep torchvision's names on both sides.
_NAMES = (
    ("key_encoder.res2.", "key_encoder.trunk.layer1."),
    ("key_encoder.", "key_encoder.trunk."),
    ("key_proj.key_proj.", "key_encoder.key_projection."),
    ("key_comp.", "key_encoder.thin_projection."),
    ("value_encoder.fuser.block1.downsample.", "value_encoder.fuse1.skip."),
    ("value_encoder.fuser.block1.", "value_encoder.fuse1."),
    ("value_encoder.fuser.block2.", "value_encoder.fuse2."),
    ("value_encoder.fuser.attention.ChannelGate.mlp.1.", "value_encoder.cbam.channel_mlp.0."),
    ("value_encoder.fuser.attention.ChannelGate.mlp.3.", "value_encoder.cbam.channel_mlp.2."),
    ("value_encoder.fuser.attention.SpatialGate.spatial.conv.", "value_encoder.cbam.spatial_conv."),
    ("value_encoder.", "value_encoder.trunk."),
    ("decoder.compress.downsample.", "decoder.compress.skip."),
    ("decoder.up_16_8.out_conv.downsample.", "decoder.refine8.out_block.skip."),
    ("decoder.up_16_8.out_conv.", "decoder.refine8.out_block."),
    ("decoder.up_16_8.", "decoder.refine8."),
    ("decoder.up_8_4.out_conv.", "decoder.refine4.out_block."),
    ("decoder.up_8_4.", "decoder.refine4."),
    ("decoder.pred.", "decoder.predict."),
    ("decoder.", "decoder."),
)


def load_network(path: str | Path, device: str | torch.device = "cpu", mask_channels: int | None = None) -> STCN:
    """Read a network, in evaluation mode, from our own or the published STCN layout.

    Args:
        path: weights file, or "compact" for the repository's own. device: where the network goes.
        mask_channels: ask for 1 or 2; a 1-channel file asked for 2 is padded with zeros (docs/METHOD.md).
    Raises CheckpointError where the file is missing, damaged, or of another architecture.
    """
    config, state = read_weights(path)
    if mask_channels is not None and mask_channels != config.mask_channels:
        if mask_channels < config.mask_channels:
            raise CheckpointError(
                f"{path}: expected a network with {mask_channels} mask channel, found {config.mask_channels}; "
                "mask channels can be added but not taken away"
            )
        config = NetworkConfig(**{**vars(config), "mask_channels": mask_channels})
    network = STCN(config)
    load_state(network, state, str(path))
    return network.to(device).eval()


def load_state(network: STCN, state: Mapping[str, Tensor], source: str, extra: str = "zeros") -> None:
    """Load `state` into `network`, widening the value encoder's first convolution where `network` has one more
    mask channel: `extra` = "zeros", or "orthogonal" for an orthogonal start of the new kernels."""
    state, own = dict(state), network.state_dict()
    name = "value_encoder.trunk.conv1.weight"
    if name in state and state[name].shape[1] == own[name].shape[1] - 1:
        added = torch.zeros_like(own[name][:, :1])
        if extra == "orthogonal":
            torch.nn.init.orthogonal_(added)
        state[name] = torch.cat([state[name].to(added), added], 1)
    missing, foreign = own.keys() - state.keys(), state.keys() - own.keys()
    if missing or foreign:
        example = min(missing) if missing else min(foreign)
        raise CheckpointError(
            f"{source}: expected the weights of {_in_words(network.config)}, found {len(missing)} tensors missing and "
            f"{len(foreign)} of another network (for example '{example}'); use weights of this architecture"
        )
    for key, tensor in own.items():
        if state[key].shape != tensor.shape:
            raise CheckpointError(
                f"{source}: expected '{key}' of shape {list(tensor.shape)}, found {list(state[key].shape)}; "
                "use weights of this architecture"
            )
    network.load_state_dict(state)


def read_weights(path: str | Path) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """The configuration and state dictionary (our names) held by a file of either layout."""
    path = weights_file(path)
    content = read_file(path)
    if isinstance(content.get("network"), dict) and "network_config" in content:
        return from_mapping(NetworkConfig, content["network_config"], str(path)), content["network"]
    state = {str(name).removeprefix("module."): tensor for name, tensor in content.items()}
    tensors = all(isinstance(tensor, Tensor) for tensor in state.values())
    if not tensors or not {"key_proj.key_proj.weight", "value_encoder.conv1.weight"} <= state.keys():
        raise CheckpointError(
            f"{path}: expected weights of this project or in the published STCN layout, found "
            f"{len(state)} entries such as '{next(iter(state), 'none')}'; see README, section Weights"
        )
    return from_published(state)


def weights_file(path: str | Path) -> Path:
    """The file that `path` names: itself, or that of the repository's weights of this name."""
    own = OWN_WEIGHTS / f"{path}.pth"
    return own if own.parent == OWN_WEIGHTS and own.is_file() and not Path(path).exists() else Path(path)


def weights_digest(path: str | Path) -> str:
    """SHA-256 of the weights file that `path` stands for, in hexadecimal; raises CheckpointError if there is none."""
    try:
        with open(weights_file(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        raise CheckpointError(f"{path}: expected weights, found no such file; check --weights") from None


def from_published(state: Mapping[str, Tensor]) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """Published STCN layout -> configuration and our names, exactly.

    The value encoder's ResNet convolutions carry biases there; each is folded into the running mean of the
    batch norm that follows: (x + b - mean) = (x - (mean - b)).
    """
    state = dict(state)
    for name in [name for name in state if _is_folded_bias(name)]:
        mean = _following_norm(name) + ".running_mean"
        if mean not in state:
            raise CheckpointError(f"expected '{mean}' beside '{name}' in weights of the published layout, found none")
        state[mean] = state[mean] - state.pop(name)
    channels = state["value_encoder.conv1.weight"].shape[1] - 3
    config = NetworkConfig(mask_channels=channels)      # type: ignore[arg-type]   # published ones have 1 or 2
    return config, {_rename(name, 0, 1): tensor for name, tensor in state.items()}


def to_published(network: STCN, source: Path | str = "network") -> dict[str, Tensor]:
    """Our network -> the published layout (with zero biases where ours were folded), for tools made for STCN.

    Raises CheckpointError, which names `source`, for a network of other sizes than the thesis's.
    """
    expected = NetworkConfig(mask_channels=network.config.mask_channels)
    if network.config != expected:
        raise CheckpointError(f"{source}: expected the thesis's network, found {_in_words(network.config)}; the "
                              "published layout has no other sizes: keep it in ours")
    state = {published_name(name): tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    for name in [name for name in state if name.startswith("value_encoder.") and name.endswith(".weight")]:
        bias = name.removesuffix("weight") + "bias"
        if bias not in state:
            state[bias] = torch.zeros(len(state[name]))
    return state


def save_network(path: str | Path, network: STCN, training: dict | None = None, half: bool = False) -> None:
    """Write our layout atomically: the file appears whole or not at all.

    half: kernels in half precision, half the size; vectors (biases, norms and their statistics) stay as they are.
    """
    state = network.state_dict()
    if half:
        state = {name: tensor.half() if tensor.dim() > 1 else tensor for name, tensor in state.items()}
    content = {"network_config": to_mapping(network.config), "network": state}
    save_file(path, content | ({"training": training} if training else {}))


def save_file(path: str | Path, content: object) -> None:
    """torch.save to a temporary name beside `path`, flushed to disk, then renamed over it.

    Raises OSError, with the name of the file, where it cannot be written; what lay there before is untouched then.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:        # torch.save raises one of its own over a failed write
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def read_file(path: str | Path) -> dict:
    """torch.load with `weights_only=True` (a pickle in the file can run nothing) to the CPU, errors made plain."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        what = {FileNotFoundError: "no such file", IsADirectoryError: "a folder"}
        found = what.get(type(error), "one that may not be read")
        raise CheckpointError(f"{path}: expected a weights file, found {found}; check the path") from None
    except Exception as error:      # arbitrary bytes can make an unpickler raise anything
        raise CheckpointError(
            f"{path}: expected a PyTorch weights file of tensors alone, found one that does not load "
            f"({_seems(Path(path), str(error))}); copy or download it again"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}")
    return content


def _seems(path: Path, message: str) -> str:
    """What a file is that does not load; `message`: the unpickler's."""
    with open(path, "rb") as file:
        head = file.read(200)
    if not head:
        return "an empty file"
    # PyTorch's words for what it will not run; of a file that is no pickle at all it complains of operands
    if "Unsupported global" in message or ("Unsupported" in message and head.startswith((b"\x80", b"PK"))):
        return "it holds objects or code beside tensors, which are never run"
    if head.isascii() and head.decode().replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        return f"a text file, '{' '.join(head.decode().split())[:40]}'"
    return "it is damaged or cut off"


def _in_words(config: NetworkConfig) -> str:
    thesis = vars(NetworkConfig())
    changed = [f"{name}={value}" for name, value in vars(config).items() if value != thesis[name]]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"a network of {', '.join(changed[:3])}{more}" if changed else "the thesis's network"


def published_name(name: str) -> str:
    """Our parameter name -> the published layout's."""
    return _rename(name, 1, 0)


def _rename(name: str, source: int, target: int) -> str:
    for pair in sorted(_NAMES, key=lambda pair: -len(pair[source])):
        if name.startswith(pair[source]):
            return pair[target] + name.removeprefix(pair[source])
    return name


def _is_folded_bias(name: str) -> bool:
    trunk = name.startswith("value_encoder.") and not name.startswith("value_encoder.fuser.")
    return trunk and name.endswith((".conv1.bias", ".conv2.bias", "downsample.0.bias"))


def _following_norm(bias: str) -> str:
    module = bias.removesuffix(".bias")
    if module.endswith("downsample.0"):
        return module.removesuffix("0") + "1"
    return module[: -len("conv1")] + "bn" + module[-1]
