"""The backbones that an encoder can have, by name."""

from collections.abc import Mapping
from typing import Literal

from model import efficientnet_lite, resnet
from model.blocks import NormFactory
from model.efficientnet_lite import EfficientNetLite0
from model.resnet import ResNet

Backbone = Literal["resnet18", "resnet34", "resnet50", "efficientnet_lite0"]
Trunk = ResNet | EfficientNetLite0

WIDTHS: Mapping[str, tuple[int, int, int]] = {       # channels at strides 4, 8 and 16
    **resnet.WIDTHS, "efficientnet_lite0": efficientnet_lite.WIDTHS,
}


def make_trunk(backbone: Backbone, in_channels: int, norm: NormFactory) -> Trunk:
    """The convolutions of a backbone up to stride 16, with random weights.

    A trunk maps [B, in_channels, H, W] to its features at strides 4, 8 and 16, whose channels are `widths`.
    `load_imagenet` loads ImageNet weights into it. Its first convolution is `conv1`.
    """
    if backbone == "efficientnet_lite0":
        return EfficientNetLite0(in_channels, norm)
    return ResNet(backbone, in_channels, norm)
