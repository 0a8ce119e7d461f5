"""The layout of the public STCN code: bare state dictionaries with its parameter names, converted exactly both ways."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from model.errors import CheckpointError
from model.network import STCN, NetworkConfig

# (published, ours): prefixes of parameter names. The ResNet stages below keep torchvision's names in both layouts.
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


def from_published(
    state: Mapping[str, Tensor], source: Path | str = "published weights"
) -> tuple[NetworkConfig, dict[str, Tensor]]:
    """Published STCN layout -> configuration and our names, exactly.

    There the value encoder's ResNet convolutions have biases. Each bias is folded into the running mean of the
    batch norm that follows: (x + b - mean) = (x - (mean - b)). Raises CheckpointError, which names `source`, if
    that batch norm is missing.
    """
    state = dict(state)
    for name in [name for name in state if _is_folded_bias(name)]:
        mean = _following_norm(name) + ".running_mean"
        if mean not in state:
            raise CheckpointError(
                f"{source}: expected '{mean}' beside '{name}' in weights of the published layout, found none; "
                "copy or download the file again"
            )
        state[mean] = state[mean] - state.pop(name)
    channels = state["value_encoder.conv1.weight"].shape[1] - 3
    config = NetworkConfig(mask_channels=channels)      # type: ignore[arg-type]   # published networks have 1 or 2
    return config, {_rename(name, 0, 1): tensor for name, tensor in state.items()}


def to_published(network: STCN, source: Path | str = "network") -> dict[str, Tensor]:
    """Our network -> the published layout, for tools made for STCN. Biases that ours has folded become zeros.

    Raises CheckpointError, which names `source`, if the network does not have the thesis's sizes.
    """
    expected = NetworkConfig(mask_channels=network.config.mask_channels)
    if network.config != expected:
        raise CheckpointError(f"{source}: expected the thesis's network, found {describe_config(network.config)}; the "
                              "published layout has no other sizes: keep it in ours")
    state = {published_name(name): tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    for name in [name for name in state if name.startswith("value_encoder.") and name.endswith(".weight")]:
        bias = name.removesuffix("weight") + "bias"
        if bias not in state:
            state[bias] = torch.zeros(len(state[name]))
    return state


def published_name(name: str) -> str:
    """Our parameter name -> the published layout's."""
    return _rename(name, 1, 0)


def describe_config(config: NetworkConfig) -> str:
    """A network's sizes in a few words, for error messages."""
    thesis = vars(NetworkConfig())
    changed = [f"{name}={value}" for name, value in vars(config).items() if value != thesis[name]]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"a network of {', '.join(changed[:3])}{more}" if changed else "the thesis's network"


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
