"""STCN (Cheng et al. 2021) as the thesis uses it: one class for training and inference, sizes as options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from model.backbones import Backbone
from model.blocks import NORMS
from model.decoder import Decoder
from model.efficientnet_lite import EfficientNetLite0
from model.encoders import FrameFeatures, KeyEncoder, ValueEncoder
from model.errors import ConfigError


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of the network; the defaults are the thesis's and the published checkpoints'."""

    key_backbone: Backbone = "resnet50"
    value_backbone: Backbone = "resnet18"
    mask_channels: Literal[1, 2] = 2                # 1: own mask; 2: own mask and the sum of the others'
    key_dim: int = 64                               # C_k
    value_dim: int = 512                            # C_v, and the width of the thin f16
    decoder_dims: tuple[int, int, int] = (512, 256, 256)   # at strides 16, 8, 4
    cbam: bool = True
    norm: Literal["frozen_batch", "batch", "group"] = "frozen_batch"   # in the backbones
    block_norm: Literal["none", "batch", "group"] = "none"   # in fuser and decoder; one trains from scratch


class STCN(nn.Module):
    """Key encoder, value encoder and decoder. The memory is no part of it.

    Frames are RGB, normalized by `model.normalization`, with sides that are multiples of STRIDE.
    """

    prepared: str       # set by `model.fast`: the precision that the network is prepared for
    compiled = False    # set by `model.fast`

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        norm, block_norm = NORMS[config.norm], NORMS[config.block_norm]
        self.key_encoder = KeyEncoder(config.key_backbone, config.key_dim, config.value_dim, norm)
        f4_dim, f8_dim, f16_dim = self.key_encoder.trunk.widths
        self.value_encoder = ValueEncoder(
            config.value_backbone, config.mask_channels, f16_dim, config.value_dim, config.cbam, norm, block_norm
        )
        self.decoder = Decoder(config.value_dim, f8_dim, f4_dim, config.decoder_dims, block_norm)

    @property
    def device(self) -> torch.device:
        """The device that the network computes on."""
        return next(self.parameters()).device

    def encode_key(self, frame: Tensor) -> FrameFeatures:
        """[B, 3, H, W] -> key, thin f16, and the features the decoder and value encoder need."""
        return self.key_encoder(frame)

    def encode_value(self, frame: Tensor, f16: Tensor, masks: Tensor, others: Tensor | None = None) -> Tensor:
        """Frame [B, 3, H, W], its f16, probabilities [B, objects, H, W] -> [B, objects, C_v, h, w].

        others: of each of these objects, the sum of all other masks, like `masks`; None: these objects are all.
        """
        return self.value_encoder(frame, f16, masks, others)

    def segment(self, readout: Tensor, features: FrameFeatures) -> Tensor:
        """Read-out [B, objects, C_v, h, w] -> each object's own logits [B, objects, H, W]."""
        return self.decoder(readout, features)

    def load_imagenet(self, file: Path | None = None, key_only: bool = False) -> None:
        """Start both encoders, or the key encoder alone, from ImageNet weights (docs/METHOD.md).

        file: the weights of EfficientNet-Lite0; None: those of the installed package.
        Raises ConfigError if weights are not available, or a file is given and nothing takes it.
        """
        trunks = [self.key_encoder.trunk] + ([] if key_only else [self.value_encoder.trunk])
        if file is not None and not any(isinstance(trunk, EfficientNetLite0) for trunk in trunks):
            raise ConfigError(f"training.imagenet: expected an encoder of efficientnet_lite0, which takes {file}, "
                              "found none; omit training.imagenet")
        for trunk in trunks:
            trunk.load_imagenet(file)
