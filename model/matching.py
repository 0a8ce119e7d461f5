"""Matching: L2 affinity between memory and query keys, and the reads built on it.

Training reads by a softmax over all memory entries; inference by the top-k entries of each query cell.
N memory entries, M query cells. Every function here is used by both sides or tested against the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

_BLOCKS = ((128, 8192), (2048, 16384))     # query cells x entries at once: on a CPU (4 MiB), on a GPU (128 MiB)
_GROUP = 16      # entries whose maximum stands for them in a first ranking


@dataclass
class TopK:
    """The k best memory entries of each query cell, and their softmax weights over those k."""

    indices: Tensor   # [M, k] int64, into the N entries
    weights: Tensor   # [M, k] float32, rows sum to one


def similarity(memory_key: Tensor, query_key: Tensor) -> Tensor:
    """Negative squared L2 distance over sqrt(C_k), less the query's own norm.

    `-||k_i - q_j||^2 / sqrt(C_k)` (thesis, eq. 1); `||q_j||^2` shifts a softmax over i by a constant and is
    left out.

    Args:
        memory_key: [..., N, C_k]; query_key: [..., M, C_k].
    Returns [..., M, N].
    """
    scale = 1 / math.sqrt(memory_key.shape[-1])
    norm = memory_key.square().sum(-1)                                     # [..., N]
    return (2 * scale) * (query_key @ memory_key.transpose(-1, -2)) - scale * norm[..., None, :]


def softmax_affinity(memory_key: Tensor, query_key: Tensor) -> Tensor:
    """Affinity over all entries: [B, C_k, N] and [B, C_k, M] -> [B, M, N], rows sum to one. Training's read."""
    return similarity(memory_key.transpose(1, 2), query_key.transpose(1, 2)).softmax(-1)


def read(values: Tensor, affinity: Tensor) -> Tensor:
    """Weighted sum of values: [B, objects, C_v, N] and [B, M, N] (or per object [B, objects, M, N])
    -> [B, objects, C_v, M]."""
    affinity = affinity[:, None] if affinity.dim() == 3 else affinity
    return values @ affinity.transpose(-1, -2)


def top_k_affinity(similarities: Tensor, k: int) -> TopK:
    """The k largest of each row of [M, N], softmax over those alone (docs/METHOD.md)."""
    values, indices = similarities.topk(min(k, similarities.shape[1]), dim=1)
    return TopK(indices, values.softmax(1))


def match(
    memory_key: Tensor, query_key: Tensor, k: int, masks: Sequence[Tensor | None] = (None,)
) -> list[TopK]:
    """The top-k affinity of [N, C_k] and [M, C_k], for each mask over those of the entries that it allows.

    Equal to `top_k_affinity(similarity(...))`, block by block: the N x M similarities, gigabytes for a large bank,
    are never held at once, and a block stays in the processor's cache.

    Args:
        masks: [N] bool each; None: all entries. An object that appeared late sees the entries it has values in; what
        a mask hides has weight 0, and so has everything where it hides all. The number of entries that a mask allows
        is never asked, which on a GPU would make the host wait.
    """
    rows, columns = _BLOCKS[memory_key.device.type == "cuda"]
    scale = 1 / math.sqrt(memory_key.shape[1])
    norms = scale * torch.cat([block.square().sum(1) for block in memory_key.split(columns)])
    k = min(k, len(memory_key))
    parts = [
        _match_rows(memory_key, norms, scale, query, k, masks, columns) for query in query_key.split(rows)
    ]
    return [TopK(*(torch.cat(tensors) for tensors in zip(*part, strict=True))) for part in zip(*parts, strict=True)]


def _match_rows(
    memory_key: Tensor, norms: Tensor, scale: float, query: Tensor, k: int,
    masks: Sequence[Tensor | None], columns: int,
) -> list[tuple[Tensor, Tensor]]:
    """(indices, weights) of some query cells for every mask: candidates of each block, then the best of those."""
    best: list[list[tuple[Tensor, Tensor]]] = [[] for _ in masks]
    for start in range(0, len(memory_key), columns):
        block = slice(start, start + columns)
        similarities = (query @ memory_key[block].T).mul_(2 * scale).sub_(norms[block])
        for found, mask in zip(best, masks, strict=True):
            allowed = similarities if mask is None else similarities.masked_fill(~mask[block], -torch.inf)
            values, indices = _candidates(allowed, k)
            found.append((values, indices + start))
    matches = []
    for found in best:
        values, indices = (torch.cat(tensors, 1) for tensors in zip(*found, strict=True))
        values, order = values.topk(k, dim=1)
        matches.append((indices.gather(1, order), values.softmax(1).nan_to_num(0)))
    return matches


def _candidates(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(values, indices) of some of each row of [M, N], its k largest among them.

    Those lie in the k of its groups whose maxima are largest: maxima are quicker to find than ranks.
    """
    rows, entries = similarities.shape
    groups = entries // _GROUP
    if entries % _GROUP or groups < 4 * k:                 # then ranking the groups saves nothing
        return similarities.topk(min(k, entries), dim=1)
    best = similarities.view(rows, _GROUP, groups).amax(1).topk(k, dim=1, sorted=False).indices
    members = torch.arange(0, entries, groups, device=similarities.device)
    indices = (best[:, None] + members[:, None]).flatten(1)                # [M, _GROUP * k]
    return similarities.gather(1, indices), indices


def gather_read(values: Tensor, matches: TopK) -> Tensor:
    """Read [N, C_v] at the top-k entries -> [M, C_v]: a weighted gather, no dense [M, N] weights."""
    return embedding_bag(matches.indices, values, mode="sum", per_sample_weights=matches.weights.to(values.dtype))


def dense_read(values: Tensor, matches: TopK) -> Tensor:
    """`gather_read` through dense weights: its oracle."""
    return dense_weights(matches, len(values)) @ values.float()


def dense_weights(matches: TopK, entries: int) -> Tensor:
    """The weights as a dense [M, N] matrix."""
    dense = matches.weights.new_zeros(matches.indices.shape[0], entries)
    return dense.scatter_(1, matches.indices, matches.weights)
