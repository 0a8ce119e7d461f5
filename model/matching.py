"""Matching: L2 affinity between memory and query keys, and the reads built on it.

Training reads by a softmax over all memory entries; inference by the top-k entries of each query cell.
N memory entries, M query cells. Every function here is used by both sides or tested against the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding, embedding_bag

from model.precision import at_least_float32

_CELLS = 2048             # query cells matched at once in a large memory; an eighth of them in a small one
_GROUP = 8                # consecutive entries whose maximum stands for them in a first ranking
_RANKED = 4096            # groups ranked at once
_LARGE = 40               # groups for each of the k best from which on that ranking pays
_PART = (1024, 16384)     # entries whose similarities are held at once: on a CPU (8 MiB, in its cache), on a GPU
_CACHED = (64, 2048)      # query cells whose candidates' keys are held at once, likewise


@dataclass
class TopK:
    """The k best memory entries of each query cell, and their softmax weights over those k."""

    indices: Tensor   # [M, k] int64, into the N entries
    weights: Tensor   # [M, k] in the keys' precision, rows sum to one


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

    Equal to `top_k_affinity(similarity(...))`, but the N x M similarities, gigabytes for a large bank, are never held
    at once. In a large memory the k best entries are looked for in the k groups whose best entries are best.

    Args:
        masks: [N] bool each; None: all entries. An object that appeared late sees the entries it has values in; what
        a mask hides has weight 0, and so has everything where it hides all. The number of entries that a mask allows
        is never asked, which on a GPU would make the host wait.
    """
    k = min(k, len(memory_key))
    large = len(memory_key) >= _LARGE * _GROUP * k
    match_cells, cells = (_match_groups, _CELLS) if large else (_match_all, _CELLS // 8)
    parts = [match_cells(memory_key, query, k, masks) for query in query_key.split(cells)]
    return [TopK(*(torch.cat(tensors) for tensors in zip(*part, strict=True))) for part in zip(*parts, strict=True)]


def _match_all(
    memory_key: Tensor, query: Tensor, k: int, masks: Sequence[Tensor | None]
) -> list[tuple[Tensor, Tensor]]:
    """(indices, weights) of some query cells for every mask, of all similarities."""
    similarities = similarity(memory_key, query)
    matches = []
    for mask in masks:
        allowed = similarities if mask is None else similarities.masked_fill(~mask, -torch.inf)
        values, indices = allowed.topk(k, dim=1)
        matches.append((indices, values.softmax(1).nan_to_num(0)))
    return matches


def _match_groups(
    memory_key: Tensor, query: Tensor, k: int, masks: Sequence[Tensor | None]
) -> list[tuple[Tensor, Tensor]]:
    """`_match_all` of a large memory: the best groups of entries by their maxima, then those groups' entries again."""
    scale = 1 / math.sqrt(memory_key.shape[1])
    norms = scale * torch.cat([part.square().sum(1) for part in memory_key.split(_PART[memory_key.is_cuda])])
    query = 2 * scale * query
    cached = _CACHED[memory_key.is_cuda]
    matches = []
    for mask, groups in zip(masks, _best_groups(memory_key, norms, query, k, masks), strict=True):
        left = torch.arange(len(memory_key) // _GROUP * _GROUP, len(memory_key), device=query.device)
        members = torch.arange(_GROUP, device=query.device)
        indices = torch.cat([
            (groups[..., None] * _GROUP + members).flatten(1), left.expand(len(query), -1),   # too few for a group
        ], 1)                                                                                 # [M, candidates]
        similarities = torch.cat([
            torch.bmm(embedding(part, memory_key), cells[..., None])[..., 0]
            for part, cells in zip(indices.split(cached), query.split(cached), strict=True)
        ]) - norms[indices]
        if mask is not None:
            similarities.masked_fill_(~mask[indices], -torch.inf)
        values, order = similarities.topk(k, dim=1)
        matches.append((indices.gather(1, order), values.softmax(1).nan_to_num(0)))
    return matches


def _best_groups(
    memory_key: Tensor, norms: Tensor, query: Tensor, k: int, masks: Sequence[Tensor | None]
) -> list[Tensor]:
    """For every mask [M, k]: the groups with the largest maxima, of all whole groups of consecutive entries."""
    groups = len(memory_key) // _GROUP
    best: list[list[tuple[Tensor, Tensor]]] = [[] for _ in masks]
    for start in range(0, groups, _RANKED):
        stop = min(start + _RANKED, groups)
        for found, maxima in zip(best, _maxima(memory_key, norms, query, start, stop, masks), strict=True):
            values, indices = maxima.topk(min(k, stop - start), dim=1, sorted=False)
            found.append((values, indices + start))
    ranked = []
    for found in best:
        values, indices = (torch.cat(tensors, 1) for tensors in zip(*found, strict=True))
        ranked.append(indices.gather(1, values.topk(k, dim=1, sorted=False).indices))
    return ranked


def _maxima(
    memory_key: Tensor, norms: Tensor, query: Tensor, first: int, last: int, masks: Sequence[Tensor | None]
) -> list[Tensor]:
    """For every mask [M, last - first]: the largest similarity in each of these groups."""
    maxima = [query.new_empty(len(query), last - first) for _ in masks]
    part = _PART[memory_key.is_cuda] // _GROUP
    buffer = query.new_empty(part * _GROUP, len(query))                    # for all parts: it stays in cache
    for start in range(first, last, part):
        stop = min(start + part, last)
        block = slice(start * _GROUP, stop * _GROUP)
        similarities = torch.mm(memory_key[block], query.T, out=buffer[: (stop - start) * _GROUP])
        similarities.sub_(norms[block, None])                              # [entries, M]
        for mask, largest in zip(masks, maxima, strict=True):
            allowed = similarities if mask is None else similarities.masked_fill(~mask[block, None], -torch.inf)
            largest[:, start - first : stop - first] = allowed.unflatten(0, (-1, _GROUP)).amax(1).T
    return maxima


def gather_read(values: Tensor, matches: TopK) -> Tensor:
    """Read [N, C_v] at the top-k entries -> [M, C_v]: a weighted gather, no dense [M, N] weights."""
    return embedding_bag(matches.indices, values, mode="sum", per_sample_weights=matches.weights.to(values.dtype))


def dense_read(values: Tensor, matches: TopK) -> Tensor:
    """`gather_read` through dense weights: its oracle."""
    return dense_weights(matches, len(values)) @ at_least_float32(values)


def dense_weights(matches: TopK, entries: int) -> Tensor:
    """The weights as a dense [M, N] matrix."""
    dense = matches.weights.new_zeros(matches.indices.shape[0], entries)
    return dense.scatter_(1, matches.indices, matches.weights)
