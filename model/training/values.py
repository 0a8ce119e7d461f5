"""The numbers that a training step gives: made on the device, collected by the host in one wait."""

from typing import Any

import torch
from torch import Tensor

from model.losses import mean_intersection_over_union, present_objects
from model.processes import Processes


def curves(outcome: dict[str, Any], labels: Tensor, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is logged of a part of a batch, as numbers on the device. The host does not wait.

    Args:
        outcome: of `clip_loss`; labels: [B, N, H, W] on the device; batch: as loaded, on the CPU.
    """
    device = labels.device
    values = {
        name: value.detach() if isinstance(value, Tensor) else torch.full((), value, device=device)
        for name, value in outcome.items() if name != "masks"
    }
    masks = outcome["masks"].detach()
    present = present_objects(batch["num_objects"], masks.shape[2], device)
    for frame in range(1, masks.shape[1] + 1):
        values[f"iou_frame_{frame}"] = mean_intersection_over_union(masks[:, frame - 1], labels[:, frame], present)
    values["gap"] = batch["gap"].to(device, non_blocking=True).float().mean()
    return values


def collect_means(
    parts: list[dict[str, Tensor]], gradient_norm: Tensor, stop: bool, processes: Processes
) -> dict[str, float]:
    """Means over the parts of a batch and over processes, with "gradient_norm" and "stop".

    All are packed into one tensor, so the host waits once, and processes exchange one tensor.
    """
    names = [*parts[0], "gradient_norm", "stop"]
    means = torch.stack([torch.stack([value.float() for value in part.values()]) for part in parts]).mean(0)
    flag = torch.full_like(gradient_norm, float(stop))
    packed = torch.cat([means, torch.stack([gradient_norm, flag]).float()])
    return dict(zip(names, processes.mean(packed).tolist(), strict=True))
