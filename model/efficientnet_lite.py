"""EfficientNet-Lite0 (https://github.com/tensorflow/tpu, models/official/efficientnet/lite) up to stride 16.

TensorFlow pads strided convolutions more on the right and the bottom. Ours are padded evenly, as in the ResNets, so
that the features of both backbones lie at the same pixels.
"""

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor, nn

from model.blocks import NormFactory
from model.efficientnet_lite_weights import EPSILON, imagenet_state

WIDTHS = (24, 40, 112)        # channels at strides 4, 8 and 16

# stages: kernel, stride, expansion, channels, blocks
_STAGES = (
    ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2)),     # to stride 4
    ((5, 2, 6, 40, 2),),                      # to stride 8
    ((3, 2, 6, 80, 3), (5, 1, 6, 112, 3)),    # to stride 16
)


class EfficientNetLite0(nn.Module):
    """`widths` are the channels at strides 4, 8 and 16."""

    def __init__(self, in_channels: int, norm: NormFactory) -> None:
        super().__init__()
        self.widths = WIDTHS
        self.conv1 = nn.Conv2d(in_channels, 32, 3, stride=2, padding=1, bias=False)
        self.bn1 = norm(32)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(*_blocks(width, stages, norm)) for width, stages in zip((32, *WIDTHS), _STAGES, strict=False)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
            elif isinstance(module, nn.BatchNorm2d):
                module.eps = EPSILON

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, C, H, W] -> features at strides 4, 8, 16."""
        x = nn.functional.relu6(self.bn1(self.conv1(x)), inplace=True)
        f4 = self.layer1(x)
        f8 = self.layer2(f4)
        return f4, f8, self.layer3(f8)

    def load_imagenet(self, file: Path | None = None) -> None:
        """Start from ImageNet weights in `file`, or in the installed package (`imagenet_state`)."""
        self.load_state_dict(imagenet_state(file, self.state_dict()))


class MBConv(nn.Module):
    """Inverted residual (Sandler et al. 2018): 1x1 to more channels, depthwise, and a linear 1x1 to fewer."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int, norm: NormFactory
    ) -> None:
        super().__init__()
        hidden = expansion * in_channels
        self.expand = nn.Sequential()
        if expansion > 1:
            self.expand = nn.Sequential(*_conv_norm(in_channels, hidden, 1, norm), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(
            *_conv_norm(hidden, hidden, kernel, norm, stride, groups=hidden), nn.ReLU6(inplace=True)
        )
        self.project = nn.Sequential(*_conv_norm(hidden, out_channels, 1, norm))
        self.skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        residual = self.project(self.depthwise(self.expand(x)))
        return x + residual if self.skip else residual


def _blocks(in_channels: int, stages: tuple[tuple[int, ...], ...], norm: NormFactory) -> Iterator[MBConv]:
    """The blocks of some stages; the first of a stage has its stride."""
    for kernel, stride, expansion, channels, number in stages:
        for index in range(number):
            yield MBConv(in_channels, channels, kernel, 1 if index else stride, expansion, norm)
            in_channels = channels


def _conv_norm(
    in_channels: int, out_channels: int, kernel: int, norm: NormFactory, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv2d, nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
    return conv, norm(out_channels)
