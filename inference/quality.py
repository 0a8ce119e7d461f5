"""How good a mask looks: the one place that defines it. It reads probabilities, and knows no video and no file."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Quality:
    """Of the masks of one frame, in the order of the segmenter's `objects`; on the device of the probabilities."""

    area: Tensor              # [objects] float32, pixels whose most likely label is the object
    confidence: Tensor        # [objects] float32, 0 to 1


def mask_quality(probabilities: Tensor) -> Quality:
    """Of soft masks [1 + objects, H, W], background first. The host does not wait for the device."""
    best = probabilities.max(0)
    one_hot = best.indices == torch.arange(1, len(probabilities), device=probabilities.device)[:, None, None]
    area = one_hot.flatten(1).sum(1, dtype=torch.float32)
    inside = (one_hot * best.values).flatten(1).sum(1)
    soft = probabilities[1:].flatten(1).sum(1)
    return Quality(area, (inside / (area + soft - inside).clamp(min=1)).float())
