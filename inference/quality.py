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
RIVAL = 0.1                                      # probability from which on a pixel may be the object
_LEAST = 1e-4                                    # of agreement, disagreement, probability: keeps the logarithms finite


@dataclass(frozen=True)
class Quality:
    """Of the masks of one frame, in the order of the segmenter's `objects`; on the device of the probabilities.

    That of several frames has their number before that of the objects: [frames, objects].
    """

    area: Tensor              # [objects] float32, pixels whose most likely label is the object
    confidence: Tensor        # [objects] float32, 0 to 1: probability that the mask is right

    @property
    def empty(self) -> Tensor:
        """[objects] bool: no pixel shows the object."""
        return self.area == 0

    @property
    def overall(self) -> Tensor:
        """Of a frame, 0 to 1: the mean confidence of the masks with pixels; 0 if there is none."""
        seen = (~self.empty).to(self.confidence.dtype)
        return (self.confidence * seen).sum(-1) / seen.sum(-1).clamp(min=1)

    @property
    def state(self) -> list[State]:
        """Of each object. The host waits for the device."""
        area, confidence = torch.stack([self.area, self.confidence]).tolist()
        return [_state(*each) for each in zip(area, confidence, strict=True)]

    def cpu(self) -> "Quality":
        """A copy on the host, which waits once."""
        area, confidence = torch.stack([self.area, self.confidence]).cpu()
        return Quality(area, confidence)


@dataclass(frozen=True)
class FrameQuality(Quality):
    """What a memory policy is told of a frame that has just been segmented."""

    box_share: Tensor         # [objects] float32, 0 to 1: `box_shares`


def frame_quality(probabilities: Tensor) -> FrameQuality:
    """Of soft masks [1 + objects, H, W], background first. The host does not wait for the device."""
    quality = mask_quality(probabilities)
    return FrameQuality(quality.area, quality.confidence, box_shares(probabilities))


def box_shares(probabilities: Tensor) -> Tensor:
    """The box around each mask over the box around all pixels with a probability of at least RIVAL: [objects] float32.

    It is small if something apart from the mask looks like the object as well: a distractor. That of an empty mask
    is 0. Areas of boxes are counted in pixels.
    """
    if len(probabilities) == 1:
        return probabilities.new_zeros(0, dtype=torch.float32)
    numbers = torch.arange(1, len(probabilities), device=probabilities.device)
    masks = probabilities.max(0).indices == numbers[:, None, None]
    return _box_areas(masks) / _box_areas(masks | (probabilities[1:] >= RIVAL)).clamp(min=1)


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


def _box_areas(masks: Tensor) -> Tensor:
    """Pixels of the box around each of masks [objects, H, W] bool: [objects] float32; 0 around nothing."""
    sides = []
    for across in (2, 1):
        line = masks.any(across)                                       # [objects, H], then [objects, W]
        place = torch.arange(1, line.shape[1] + 1, device=masks.device)
        last, first_from_end = (place * line).amax(1), (place * line.flip(1)).amax(1)
        sides.append((last + first_from_end - line.shape[1]).clamp(min=0))
    return (sides[0] * sides[1]).float()


def _state(area: float, confidence: float) -> State:
    if area == 0:
        return "absent"
    return "uncertain" if confidence < UNCERTAIN else "present"
