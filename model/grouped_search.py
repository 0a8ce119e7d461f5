"""The top-k search of the memory read: exact, in parts that stay in cache, and by groups in a large memory.

The similarities of all N entries and M query cells together would be gigabytes for a large bank. In a large memory,
entries are first ranked by groups of consecutive ones: the k best entries lie in the k groups whose best entries are
best.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding

from model.matching import TopK, similarity

QUERY_CELLS = (2048, 4096)        # query cells matched at once in a large memory: on a CPU, on a GPU
FEW_CELLS = (256, 8192)           # query cells matched at once in a small memory: on a CPU, on a GPU
GROUP = 8                         # consecutive entries that are represented by their maximum in a first ranking
RANKED_GROUPS = 4096              # groups ranked at once
LARGE = 40                        # groups per each of the k best from which this ranking pays
ENTRIES_AT_ONCE = (1024, 16384)   # whose similarities are held at once: on a CPU (8 MiB, in its cache), on a GPU
CELLS_AT_ONCE = (64, 2048)        # query cells whose candidates' keys are held at once: on a CPU, on a GPU


def _accelerated(x: Tensor) -> bool:
    """Which of two sizes to take: that of a CPU, whose cache is small, or that of a GPU, where every call is slow."""
    return x.device.type != "cpu"


def match(
    memory_key: Tensor, query_key: Tensor, k: int, masks: Sequence[Tensor | None] = (None,)
) -> list[TopK]:
    """The top-k affinity of [N, C_k] and [M, C_k], for each mask over those of the entries that it allows.

    Equal to `top_k_affinity(similarity(...))`.

    Args:
        masks: [N] bool each; None: all entries. An object that appeared late sees the entries that have a value for it.
        Hidden entries get weight 0; if a mask hides all, every weight is 0. How many entries a mask allows is never
        computed: on a GPU the host would have to wait for it.
    """
    k = min(k, len(memory_key))
    large = len(memory_key) >= LARGE * GROUP * k
    search, cells = (_search_groups, QUERY_CELLS) if large else (_search_all, FEW_CELLS)
    parts = [search(memory_key, query, k, masks) for query in query_key.split(cells[_accelerated(memory_key)])]
    return [TopK(*(torch.cat(tensors) for tensors in zip(*part, strict=True))) for part in zip(*parts, strict=True)]


def _search_all(
    memory_key: Tensor, query: Tensor, k: int, masks: Sequence[Tensor | None]
) -> list[tuple[Tensor, Tensor]]:
    """(indices, weights) of some query cells for every mask, from all similarities."""
    similarities = similarity(memory_key, query)
    matches = []
    for mask in masks:
        allowed = similarities if mask is None else similarities.masked_fill(~mask, -torch.inf)
        values, indices = allowed.topk(k, dim=1)
        matches.append((indices, values.softmax(1).nan_to_num(0)))
    return matches


def _search_groups(
    memory_key: Tensor, query: Tensor, k: int, masks: Sequence[Tensor | None]
) -> list[tuple[Tensor, Tensor]]:
    """`_search_all` for a large memory: find the groups with the largest maxima, then compare their entries again."""
    scale = 1 / math.sqrt(memory_key.shape[1])
    at_once, cached = (sizes[_accelerated(memory_key)] for sizes in (ENTRIES_AT_ONCE, CELLS_AT_ONCE))
    norms = scale * torch.cat([part.square().sum(1) for part in memory_key.split(at_once)])
    query = 2 * scale * query
    matches = []
    for mask, groups in zip(masks, _best_groups(memory_key, norms, query, k, masks), strict=True):
        rest = torch.arange(len(memory_key) // GROUP * GROUP, len(memory_key), device=query.device)
        members = torch.arange(GROUP, device=query.device)
        indices = torch.cat([
            (groups[..., None] * GROUP + members).flatten(1), rest.expand(len(query), -1),   # too few for a group
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
    """For every mask [M, k]: the groups with the largest maxima. Entries after the last whole group are left out."""
    groups = len(memory_key) // GROUP
    best: list[list[tuple[Tensor, Tensor]]] = [[] for _ in masks]
    for start in range(0, groups, RANKED_GROUPS):
        stop = min(start + RANKED_GROUPS, groups)
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
    part = ENTRIES_AT_ONCE[_accelerated(memory_key)] // GROUP
    buffer = query.new_empty(part * GROUP, len(query))                    # reused for all parts: it stays in cache
    for start in range(first, last, part):
        stop = min(start + part, last)
        block = slice(start * GROUP, stop * GROUP)
        similarities = torch.mm(memory_key[block], query.T, out=buffer[: (stop - start) * GROUP])
        similarities.sub_(norms[block, None])                              # [entries, M]
        for mask, largest in zip(masks, maxima, strict=True):
            allowed = similarities if mask is None else similarities.masked_fill(~mask[block, None], -torch.inf)
            largest[:, start - first : stop - first] = allowed.unflatten(0, (-1, GROUP)).amax(1).T
    return maxima
