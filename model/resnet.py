"""The ResNets as trunks: torchvision's, cut after their stride-16 stage."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from model.blocks import NormFactory
from model.errors import ConfigError
from model.undrawn import Undrawn

WIDTHS: Mapping[str, tuple[int, int, int]] = {
    "resnet18": (64, 128, 256), "resnet34": (64, 128, 256), "resnet50": (256, 512, 1024),
}


class ResNet(nn.Module):
    """A torchvision ResNet up to stride 16. `widths` are the channels at strides 4, 8 and 16."""

    def __init__(self, backbone: str, in_channels: int, norm: NormFactory) -> None:
        import torchvision  # takes seconds; commands that build no network start without it

        super().__init__()
        self.backbone, self.widths = backbone, WIDTHS[backbone]
        with Undrawn():                 # to draw the weights of the last stage, which is cut off, takes longest
            resnet = torchvision.models.get_model(backbone, weights=None, norm_layer=norm)
            self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1, self.maxpool = resnet.bn1, resnet.maxpool
        self.layer1, self.layer2, self.layer3 = resnet.layer1, resnet.layer2, resnet.layer3
        self.draw_weights()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, C, H, W] -> features at strides 4, 8, 16."""
        x = torch.relu(self.maxpool(self.bn1(self.conv1(x))))      # equal in the other order, with fewer pixels in this
        f4 = self.layer1(x)
        f8 = self.layer2(f4)
        return f4, f8, self.layer3(f8)

    def draw_weights(self) -> None:
        """Random weights, distributed as torchvision draws them."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                module.reset_parameters()

    def load_imagenet(self, _file: Path | None = None) -> None:
        """Start from torchvision's ImageNet weights (downloaded once); extra input channels are zero.

        Raises ConfigError if they cannot be downloaded.
        """
        import torchvision

        weights = torchvision.models.get_model_weights(self.backbone).IMAGENET1K_V1
        try:
            state = weights.get_state_dict(progress=True)
        except OSError as error:
            raise ConfigError(
                f"{self.backbone}: expected to download its ImageNet weights, found no way to ({error}); set "
                "training.pretrained=false, or =key if only the key encoder's are available"
            ) from None
        own = self.state_dict()
        kernel = torch.zeros_like(own["conv1.weight"])
        kernel[:, :3] = state["conv1.weight"]
        self.load_state_dict({name: state[name] for name in own} | {"conv1.weight": kernel})
