"""What the network is given: RGB frames, normalized by ImageNet's statistics."""

import functools

import torch
from torch import Tensor

IMAGE_MEAN = (0.485, 0.456, 0.406)           # ImageNet, RGB
IMAGE_STD = (0.229, 0.224, 0.225)


def normalize(frame: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 RGB [..., 3, H, W] -> float32 or float64, ImageNet statistics."""
    mean, std = _statistics(frame.device, dtype)
    return (frame.to(dtype) / 255 - mean) / std


@functools.cache
@torch.inference_mode(False)
def _statistics(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, [3, 1, 1] each. Made once per device: a copy to a GPU makes the host wait."""
    mean, std = (torch.tensor(values, device=device, dtype=dtype).view(3, 1, 1) for values in (IMAGE_MEAN, IMAGE_STD))
    return mean, std
