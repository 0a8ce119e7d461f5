"""Entries that become one: what policies do instead of dropping them."""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from inference.memory.entries import Entries
from model.precision import at_least_float32


def blend(
    entries: Entries, rows: Tensor, key: Tensor, values: Tensor, share: float, directions: bool = False
) -> None:
    """Stored rows become share * themselves + (1 - share) * the new key [n, C_k] and values [objects, n, C_v].

    Several new ones for one row enter as their mean. If a row has no value for an object, it takes the new one.
    directions: blend unit vectors, and keep the length of the stored ones.
    """
    rows, group = rows.unique(return_inverse=True)
    count = torch.zeros_like(rows).index_add_(0, group, torch.ones_like(group))[:, None]

    def mean(x: Tensor) -> Tensor:
        x = at_least_float32(x)
        return x.new_zeros(len(rows), x.shape[1]).index_add_(0, group, x) / count

    def mixed(old: Tensor, new: Tensor) -> Tensor:
        if not directions:
            return share * old + (1 - share) * mean(new)
        unit = share * normalize(old, dim=1) + (1 - share) * mean(normalize(at_least_float32(new), dim=1))
        return old.norm(dim=1, keepdim=True) * normalize(unit, dim=1)

    keys = entries.keys
    keys[rows] = mixed(keys[rows], key)
    for obj, new in enumerate(values):
        old, buffer = entries.has_value(obj)[rows, None], entries.values(obj)
        merged = mixed(at_least_float32(buffer[rows]), new)
        buffer[rows] = torch.where(old, merged, mean(new)).to(buffer.dtype)
    entries.buffers["known"].index_fill_(0, rows, len(values))


def mix_values(entries: Entries, obj: int, rows: Tensor, sources: Tensor, weights: Tensor) -> None:
    """Values of object `obj` in `rows` [n] become the weighted sums of those in `sources` [n, k]."""
    buffer = entries.values(obj)
    buffer[rows] = embedding_bag(sources, buffer, mode="sum", per_sample_weights=weights.to(buffer.dtype))


def merge(entries: Entries, sources: Tensor, targets: Tensor, share: Tensor) -> None:
    """Stored rows `targets` [n] become share [n] * rows `sources` [n] + (1 - share) * themselves.

    If a source has no value for an object, its target keeps its own. No row is a target twice.
    """
    share, keys = share[:, None], entries.keys
    keys[targets] = _mean(keys[sources], keys[targets], share)
    for obj in range(entries.objects):
        buffer, known = entries.values(obj), entries.has_value(obj)[sources, None]
        own = buffer[targets]
        mixed = _mean(at_least_float32(buffer[sources]), at_least_float32(own), share)
        buffer[targets] = torch.where(known, mixed.to(own.dtype), own)


def _mean(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return share.to(one.dtype) * one + (1 - share).to(one.dtype) * other
