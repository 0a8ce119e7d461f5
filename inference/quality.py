"""How good a mask looks: the one place that defines it. It reads probabilities, and knows no video and no file.

docs/CONFIDENCE.md explains the numbers.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

State = Literal["absent", "uncertain", "present"]

# the probability that a mask is right (J of at least 0.5) is the logistic function of OFFSET + SLOPE * score; fitted by
# scripts/calibrate_confidence.py to the masks of weights/compact.pth on generated clips
OFFSET, SLOPE = -2.60, 1.93                      # of masks with pixels
OFFSET_ABSENT, SLOPE_ABSENT = -2.60, 0.16        # of masks without a pixel, which are right if there is no object
UNCERTAIN = 0.5                                  # a mask of less confidence is uncertain
_LEAST = 1e-4                                    # of agreement, disagreement, probability: keeps the logarithms finite


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
    area, score = mask_score(probabilities)
    shown, absent = OFFSET + SLOPE * score, OFFSET_ABSENT + SLOPE_ABSENT * score
    return Quality(area, torch.where(area > 0, shown, absent).sigmoid())


def mask_score(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Area and score of each mask, [objects] float32 each: what the calibration maps to a confidence.

    The score of a mask with pixels is the logit of its expected IoU, sum(p inside) / (area + sum(p outside)). That of a
    mask without a pixel is -log of the object's largest probability.
    """
    if len(probabilities) == 1:
        nothing = probabilities.new_zeros(0, dtype=torch.float32)
        return nothing, nothing
    best = probabilities.amax(0)
    taken = probabilities[0] == best             # of equally likely labels, the first one counts
    areas, insides = [], []
    for each in probabilities[1:]:
        mask = (each == best) & ~taken
        taken |= mask
        weights = mask.flatten().to(best.dtype)
        areas.append(weights.sum())
        insides.append(torch.dot(weights, best.flatten()))
    area, inside = torch.stack(areas), torch.stack(insides)
    each_pixel = probabilities[1:].flatten(1)
    expected = inside / (area + each_pixel.sum(1) - inside).clamp(min=1)
    score = torch.where(area > 0, expected.logit(_LEAST), -each_pixel.amax(1).clamp(min=_LEAST).log())
    return area.float(), score.float()


def _state(area: float, confidence: float) -> State:
    if area == 0:
        return "absent"
    return "uncertain" if confidence < UNCERTAIN else "present"
