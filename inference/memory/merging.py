"""Policies that blend features instead of dropping them."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from inference.memory.blending import blend, mix_values
from inference.memory.entries import Entries
from inference.memory.options import MemoryOptions
from inference.memory.policies import LeastFrequentlyUsed
from model.grouped_search import match
from model.matching import TopK

_ALIKE = 0.95          # cosine from which on a new key counts as the same as an old one
_OLD_SHARE = 0.8       # weight of the old entry in the running mean
_PUBLISHED_SHARE = 0.9
_USED = 0.001          # softmax weight above which a query cell uses an entry
_NEIGHBORS = 20       # entries that a prototype's value is drawn from
_GROUP = 64            # consecutive numbers of a row that are represented by their maximum in a search


class AdaptiveFeatureBank(LeastFrequentlyUsed, name="afb"):
    """Merge a new entry into the one it resembles, by running mean; forget the least used for the rest.

    Source: AFB-URR (Liang et al. 2020), the thesis's only predecessor with a bank of fixed size. If the key of a new
    cell has a cosine of at least 0.95 with an entry held, that entry becomes 0.8 * old + 0.2 * new (key and values; if
    it has no value for an object, it takes the new one). The other cells are stored. Index: log(1 + count) over age.
    """

    def __init__(self, options: MemoryOptions | None = None) -> None:
        super().__init__(replace(options or MemoryOptions(), index="log"))

    def before_write(self, entries: Entries, key: Tensor, values: Tensor) -> Tensor:
        memory = normalize(entries.keys, dim=1)
        best, nearest = [], []
        for block in torch.split(normalize(key, dim=1), 256):
            cosine, index = largest(block @ memory.T)
            best.append(cosine)
            nearest.append(index)
        alike = torch.cat(best) >= _ALIKE
        cells = alike.nonzero()[:, 0]
        self.blend(entries, torch.cat(nearest)[cells], key[cells], values[:, cells])
        return ~alike

    def blend(self, entries: Entries, rows: Tensor, key: Tensor, values: Tensor) -> None:
        blend(entries, rows, key, values, _OLD_SHARE)


class PublishedFeatureBank(AdaptiveFeatureBank, name="afb_published"):
    """`afb` with the numbers of its source: a slower mean, of directions, and usage by softmax weight.

    Source: AFB-URR (Liang et al. 2020). As `afb`, but an entry that absorbs a new one becomes 0.9 * old + 0.1 * new;
    the blended keys and values are unit vectors, and the length of the old ones is kept. The usage index counts the
    query cells in which the softmax weight of the entry exceeds 0.001. Simplified: several new entries for one old
    enter as their mean, and the softmax is over the top-k.
    """

    def blend(self, entries: Entries, rows: Tensor, key: Tensor, values: Tensor) -> None:
        blend(entries, rows, key, values, _PUBLISHED_SHARE, directions=True)

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        entries.use(matches.indices, matches.weights > _USED, log=True)


class Consolidation(LeastFrequentlyUsed, name="consolidate"):
    """The most used entries survive as prototypes, whose values summarize the entries that leave.

    Source: XMem's long-term memory (Cheng & Schwing 2022), in one bank of hard capacity. When entries must leave, those
    with the least use over age do. Of the entries written since the last eviction, those that stay become prototypes:
    their values become the affinity-weighted mean of their 20 nearest entries written since then. An entry becomes a
    prototype only once.
    """

    def reset(self) -> None:
        self.consolidated = -1             # entries written up to this frame are prototypes, or left before

    def evict(self, entries: Entries, needed: int, now: int) -> Tensor:
        leaving = super().evict(entries, needed, now)
        recent = entries.written > self.consolidated
        staying = recent.index_fill(0, leaving, False)
        for since in dict.fromkeys(entries.since):          # objects that appeared together have the same entries
            alike = [obj for obj, first in enumerate(entries.since) if first == since]
            known = entries.has_value(alike[0])[: entries.held]
            sources, prototypes = (recent & known).nonzero()[:, 0], (staying & known).nonzero()[:, 0]
            if len(prototypes):
                keys = entries.keys[: entries.held]
                found = match(keys[sources], keys[prototypes], _NEIGHBORS)[0]
                for obj in alike:
                    mix_values(entries, obj, prototypes, sources[found.indices], found.weights)
        self.consolidated = now - 1                        # all that is held was written before `now`
        return leaving


def largest(rows: Tensor) -> tuple[Tensor, Tensor]:
    """`rows.max(1)` of [M, N]: the largest number of each row and its first column, [M] each.

    Four times faster on a CPU, where maxima are cheap and their places are not: the best group is found first.
    """
    count = rows.shape[1]
    if count <= _GROUP:
        values, columns = rows.max(1)
        return values, columns
    groups = rows[:, : count // _GROUP * _GROUP].unflatten(1, (-1, _GROUP)).amax(2)
    values, group = torch.cat([groups, rows[:, -_GROUP:].amax(1, keepdim=True)], 1).max(1)     # the last: all the rest
    start = (group * _GROUP).clamp(max=count - _GROUP)
    members = start[:, None] + torch.arange(_GROUP, device=rows.device)
    return values, start + rows.gather(1, members).max(1).indices
