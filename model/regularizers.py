"""Regularizers of the memory read (thesis, chapter 4), training only: applied to the affinity after its softmax."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import dropout, interpolate

from model.precision import at_least_float32

Regularizer = Literal["none", "dropout", "reallocation"]


def drop_affinity(affinity: Tensor, keep: float = 0.5) -> Tensor:
    """Drop single affinity elements; survivors are scaled by 1 / keep, rows are not renormalized."""
    return dropout(affinity, 1 - keep)


def reallocate(affinity: Tensor, support: Tensor, renormalize: bool = False) -> Tensor:
    """Shift an object's attention towards its less attended entries.

    Within one object's own entries: attention of an entry = its mean affinity over query cells; rank 1 = most
    attended; weight = rank / mean rank. Entries outside the object keep weight 1.

    Args:
        affinity: [B, M, N], rows over N sum to one. support: [B, objects, N] bool, the object's own entries.
    Returns [B, objects, M, N].
    """
    attention = affinity.mean(1)[:, None].expand(support.shape)           # [B, objects, N]
    order = attention.masked_fill(~support, -1).argsort(-1, descending=True)
    rank = torch.zeros_like(attention).scatter_(
        -1, order, torch.arange(1, order.shape[-1] + 1, device=order.device, dtype=attention.dtype).expand(order.shape)
    )                                                                     # own entries hold ranks 1..count
    mean_rank = (support.sum(-1, keepdim=True) + 1) / 2
    weight = torch.where(support, rank / mean_rank, 1.0)
    reallocated = affinity[:, None] * weight[:, :, None]
    return reallocated / reallocated.sum(-1, keepdim=True) if renormalize else reallocated


def support_entries(masks: Tensor, stride: int) -> Tensor:
    """Which cells of a frame belong to each object: [B, objects, H, W] probabilities -> [B, objects, h*w] bool."""
    size = (masks.shape[-2] // stride, masks.shape[-1] // stride)
    small = interpolate(at_least_float32(masks), size=size, mode="bilinear", align_corners=False)
    return small.flatten(2) > 0.5
