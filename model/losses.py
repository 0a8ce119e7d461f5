"""Losses of the aggregated log-odds of one frame, and the IoU that training logs."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def hard_fraction(iteration: int, start: int, span: int, floor: float) -> float:
    """Share of pixels in the loss: 1 until `start`, then falling linearly to `floor` over `span` iterations."""
    progress = min(max(iteration - start, 0) / span, 1.0)
    return 1 - (1 - floor) * progress


def bootstrapped_cross_entropy(logits: Tensor, labels: Tensor, fraction: float) -> Tensor:
    """Mean cross-entropy of the hardest floor(fraction * H * W) pixels of one sample.

    Args:
        logits: [1 + objects, H, W]; labels: [H, W] int64; fraction: in (0, 1].
    """
    losses = cross_entropy(logits[None], labels[None], reduction="none").flatten()
    if fraction >= 1:
        return losses.mean()
    return losses.topk(int(fraction * losses.numel()), sorted=False).values.mean()


def dice_loss(masks: Tensor, targets: Tensor) -> Tensor:
    """1 - soft Dice, mean over objects. masks: [objects, H, W] probabilities; targets: [objects, H, W], 0 or 1."""
    overlap = (masks * targets).sum((1, 2))
    total = masks.sum((1, 2)) + targets.sum((1, 2))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def mean_intersection_over_union(masks: Tensor, labels: Tensor, objects: list[int]) -> Tensor:
    """Mean over samples of the mean IoU of their objects; 1 if mask and ground truth are both empty.

    Args:
        masks: [B, objects, H, W] probabilities; labels: [B, H, W]; objects: number of objects of each sample.
    """
    samples = []
    for i, n in enumerate(objects):
        predicted, true = masks[i, :n] > 0.5, labels[i] == torch.arange(1, n + 1, device=labels.device)[:, None, None]
        union = (predicted | true).sum((1, 2))
        samples.append(torch.where(union > 0, (predicted & true).sum((1, 2)) / union.clamp(min=1), 1.0).mean())
    return torch.stack(samples).mean()
