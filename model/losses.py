"""Losses of the aggregated log-odds of one frame, and the IoU that training logs.

Samples of a batch may have different numbers of objects: `present` [B, objects] bool says which objects each has.
Objects that are not present take no part.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad


def hard_fraction(iteration: int, start: int, span: int, floor: float) -> float:
    """Share of pixels in the loss: 1 until `start`, then falling linearly to `floor` over `span` iterations."""
    progress = min(max(iteration - start, 0) / span, 1.0)
    return 1 - (1 - floor) * progress


def present_objects(num_objects: Tensor, objects: int, device: torch.device) -> Tensor:
    """Numbers of objects [B] -> which of `objects` are present in each sample, [B, objects] bool on `device`.

    If the numbers are on the CPU, the host does not wait for the device.
    """
    return torch.arange(objects, device=device) < num_objects.to(device, non_blocking=True)[:, None]


def pixel_cross_entropy(logits: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """Cross-entropy of each pixel, among background and the present objects of its sample.

    Args:
        logits: [B, 1 + objects, H, W]; labels: [B, H, W] int64, 0 or the number of a present object;
        present: [B, objects] bool.
    Returns [B, H * W].
    """
    absent = pad(~present, (1, 0))[:, :, None, None]        # background is never absent
    return cross_entropy(logits.masked_fill(absent, -torch.inf), labels, reduction="none").flatten(1)


def hardest_mean(losses: Tensor, fraction: float) -> Tensor:
    """Mean over samples of the mean of each one's hardest floor(fraction * H * W) pixels.

    Args:
        losses: [B, H * W]; fraction: in (0, 1].
    """
    if fraction >= 1:
        return losses.mean()
    return losses.topk(int(fraction * losses.shape[1]), 1, sorted=False).values.mean()


def dice_loss(masks: Tensor, targets: Tensor, present: Tensor) -> Tensor:
    """1 - soft Dice, mean over samples of the mean over their present objects.

    Args:
        masks: [B, objects, H, W] probabilities; targets: [B, objects, H, W], 0 or 1; present: [B, objects] bool.
    """
    overlap = (masks * targets).sum((2, 3))
    total = masks.sum((2, 3)) + targets.sum((2, 3))
    return _mean_over_present(1 - (2 * overlap + 1) / (total + 1), present)


def mean_intersection_over_union(masks: Tensor, labels: Tensor, present: Tensor) -> Tensor:
    """Mean over samples of the mean IoU of their present objects; 1 if mask and ground truth are both empty.

    Args:
        masks: [B, objects, H, W] probabilities; labels: [B, H, W]; present: [B, objects] bool.
    """
    numbers = torch.arange(1, masks.shape[1] + 1, device=labels.device)
    predicted, true = masks > 0.5, labels[:, None] == numbers[:, None, None]
    union = (predicted | true).sum((2, 3))
    overlap = (predicted & true).sum((2, 3)) / union.clamp(min=1)
    return _mean_over_present(torch.where(union > 0, overlap, 1.0), present)


def _mean_over_present(values: Tensor, present: Tensor) -> Tensor:
    """[B, objects] -> mean over samples of the mean over present objects; each sample has at least one."""
    return ((values * present).sum(1) / present.sum(1)).mean()
