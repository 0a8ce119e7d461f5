"""Matching: L2 affinity between memory and query keys, and the reads built on it.

Training reads by a softmax over all memory entries; inference by the top-k entries of each query cell.
N memory entries, M query cells. `model.grouped_search` finds the same top-k without holding all N x M similarities.
"""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import embedding_bag

from model.precision import at_least_float32


@dataclass
class TopK:
    """The k best memory entries of each query cell, and their softmax weights over those k."""

    indices: Tensor   # [M, k] int64, into the N entries
    weights: Tensor   # [M, k] in the keys' precision, rows sum to one


def similarity(memory_key: Tensor, query_key: Tensor) -> Tensor:
    """Negative squared L2 distance over sqrt(C_k), less the query's own norm.

    `-||k_i - q_j||^2 / sqrt(C_k)` (thesis, eq. 1). `||q_j||^2` is left out: it is a constant in the softmax over i.

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
    """The k largest of each row of [M, N], and the softmax over them alone (docs/METHOD.md)."""
    values, indices = similarities.topk(min(k, similarities.shape[1]), dim=1)
    return TopK(indices, values.softmax(1))


def gather_read(values: Tensor, matches: TopK) -> Tensor:
    """Read [N, C_v] at the top-k entries -> [M, C_v]: a weighted gather without dense [M, N] weights."""
    return embedding_bag(matches.indices, values, mode="sum", per_sample_weights=matches.weights.to(values.dtype))


def dense_read(values: Tensor, matches: TopK) -> Tensor:
    """`gather_read` through dense weights: its oracle."""
    return dense_weights(matches, len(values)) @ at_least_float32(values)


def dense_weights(matches: TopK, entries: int) -> Tensor:
    """The weights as a dense [M, N] matrix."""
    dense = matches.weights.new_zeros(matches.indices.shape[0], entries)
    return dense.scatter_(1, matches.indices, matches.weights)
