"""The three graphs of an export: a network's stages for one frame and any number of objects, without a branch."""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from model.backbones import WIDTHS
from model.blocks import ResidualBlock
from model.fast import fold_batch_norms
from model.geometry import STRIDE
from model.network import STCN, NetworkConfig

Stage = Literal["key", "value", "segment"]
STAGES: tuple[Stage, ...] = ("key", "value", "segment")
OBJECTS = "objects"       # the name of the dynamic axis


class KeyGraph(nn.Module):
    """Frame [1, 3, H, W] -> key, thin, f16, f8, f4, [1, C, h, w] each: `FrameFeatures`."""

    def __init__(self, network: STCN) -> None:
        super().__init__()
        self.encoder = network.key_encoder

    def forward(self, frame: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        f4, f8, f16 = self.encoder.trunk(frame)
        return self.encoder.key_projection(f16), self.encoder.thin_projection(f16), f16, f8, f4


class ValueGraph(nn.Module):
    """Frame [1, 3, H, W], its f16, masks and the sums of the others' [objects, H, W] -> values [objects, C_v, h, w]."""

    def __init__(self, network: STCN) -> None:
        super().__init__()
        self.encoder = network.value_encoder

    def forward(self, frame: Tensor, f16: Tensor, masks: Tensor, others: Tensor | None = None) -> Tensor:
        planes = [masks[:, None]] if others is None else [masks[:, None], others[:, None]]
        _, _, value16 = self.encoder.trunk(torch.cat([_repeated(frame, masks), *planes], 1))
        x = _fuse(self.encoder.fuse1, value16, f16)
        if self.encoder.cbam is not None:
            x = x + self.encoder.cbam(x)
        return self.encoder.fuse2(x)


class SegmentGraph(nn.Module):
    """Readouts [objects, C_v, h, w] and the frame's thin, f8 and f4 -> logits [objects, H, W]."""

    def __init__(self, network: STCN) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, readout: Tensor, thin: Tensor, f8: Tensor, f4: Tensor) -> Tensor:
        x = _fuse(self.decoder.compress, readout, thin)
        x = self.decoder.refine8(x, f8)
        x = self.decoder.refine4(x, f4)
        return self.decoder.logits(x)


def _fuse(block: ResidualBlock, x: Tensor, shared: Tensor) -> Tensor:
    """`block` of the concatenation [x, shared]. The shared channels are convolved once unless a norm prevents it."""
    if not isinstance(block.norm1, nn.Identity) or not isinstance(block.skip, nn.Conv2d):
        return block(torch.cat([x, _repeated(shared, x)], 1))
    residual = _convolve(block.conv1, torch.relu(x), torch.relu(shared))
    return _convolve(block.skip, x, shared) + block.conv2(torch.relu(block.norm2(residual)))


def _convolve(conv: nn.Conv2d, x: Tensor, shared: Tensor) -> Tensor:
    """conv([x, shared]). The sum has five axes: OpenVINO 2026.4 joins a sum over four with the convolution, and then
    refuses another number of objects."""
    own, common = conv.weight.split([x.shape[1], shared.shape[1]], 1)
    summed = conv2d(x, own, padding=1)[None] + conv2d(shared, common, conv.bias, padding=1)[:, None]
    return summed.squeeze(0)


def _repeated(x: Tensor, objects: Tensor) -> Tensor:
    """[1, C, H, W] -> [objects, C, H, W]"""
    return x.expand(objects.shape[0], -1, -1, -1)


def graphs_of(network: STCN) -> dict[Stage, nn.Module]:
    """The stages of a copy of `network` on the CPU, in fp32, with folded batch norms."""
    network = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for trunk in (network.key_encoder.trunk, network.value_encoder.trunk):
        fold_batch_norms(trunk)
    return {"key": KeyGraph(network), "value": ValueGraph(network), "segment": SegmentGraph(network)}


@dataclass(frozen=True)
class TensorInfo:
    """One input or output of a graph. Its first axis is OBJECTS, which is dynamic, or one frame."""

    name: str
    shape: tuple[int | str, ...]
    range: str = "any"
    dtype: str = "float32"

    @property
    def per_object(self) -> bool:
        return self.shape[0] == OBJECTS

    def example(self, objects: int = 2) -> Tensor:
        """Random numbers in its shape."""
        return torch.rand([objects if axis == OBJECTS else int(axis) for axis in self.shape])


Signature = tuple[list[TensorInfo], list[TensorInfo]]


def signatures(config: NetworkConfig, size: tuple[int, int]) -> dict[Stage, Signature]:
    """The inputs and outputs of each graph for frames of (H, W) pixels, both multiples of STRIDE."""
    height, width = size

    def at(stride: int, channels: int, first: int | str = 1) -> tuple[int | str, ...]:
        return (first, channels, height // stride, width // stride)

    linear = config.key_backbone == "efficientnet_lite0"      # its features are not rectified
    frame = TensorInfo("frame", at(1, 3), "-2.12 to 2.64")
    key, thin = TensorInfo("key", at(STRIDE, config.key_dim)), TensorInfo("thin", at(STRIDE, config.value_dim))
    f16, f8, f4 = (
        TensorInfo(f"f{stride}", at(stride, channels), "any" if linear else "at least 0")
        for stride, channels in zip((16, 8, 4), reversed(WIDTHS[config.key_backbone]), strict=True)
    )
    masks = [TensorInfo(name, (OBJECTS, height, width), "0 to 1") for name in ("masks", "others")]
    values, readout = (TensorInfo(name, at(STRIDE, config.value_dim, OBJECTS)) for name in ("values", "readout"))
    return {
        "key": ([frame], [key, thin, f16, f8, f4]),
        "value": ([frame, f16, *masks[: config.mask_channels]], [values]),
        "segment": ([readout, thin, f8, f4], [TensorInfo("logits", (OBJECTS, height, width))]),
    }
