"""How good a mask looks: the one place that defines it. It reads probabilities, and knows no video and no file."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

State = Literal["absent", "uncertain", "present"]
UNCERTAIN = 0.5           # a mask of less confidence is uncertain


@dataclass(frozen=True)
class Quality:
    """Of the masks of one frame, in the order of the segmenter's `objects`; on the device of the probabilities."""

    area: Tensor              # [objects] float32, pixels whose most likely label is the object
    confidence: Tensor        # [objects] float32, 0 to 1: probability that the mask is right

    @property
    def state(self) -> list[State]:
        """Of each object. The host waits for the device."""
        area, confidence = torch.stack([self.area, self.confidence]).tolist()
        return [_state(*each) for each in zip(area, confidence, strict=True)]

    def cpu(self) -> "Quality":
        """A copy on the host, which waits once."""
        area, confidence = torch.stack([self.area, self.confidence]).cpu()
        return Quality(area, confidence)


def mask_quality(probabilities: Tensor) -> Quality:
    """Of soft masks [1 + objects, H, W], background first. The host does not wait for the device."""
    best = probabilities.amax(0)
    taken = probabilities[0] == best                   # of equally likely labels, the first one counts
    areas, insides = [], []
    for each in probabilities[1:]:
        mask = (each == best) & ~taken
        taken |= mask
        weights = mask.flatten().to(best.dtype)
        areas.append(weights.sum())
        insides.append(torch.dot(weights, best.flatten()))
    if not areas:
        return Quality(*probabilities.new_zeros(2, 0, dtype=torch.float32))
    area, inside = torch.stack(areas), torch.stack(insides)
    soft = probabilities[1:].flatten(1).sum(1)
    return Quality(area.float(), (inside / (area + soft - inside).clamp(min=1)).float())


def _state(area: float, confidence: float) -> State:
    if area == 0:
        return "absent"
    return "uncertain" if confidence < UNCERTAIN else "present"
