"""Policies that look for what the bank holds twice, frame by frame. Frames are compared cell by cell."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from inference.memory.blending import merge
from inference.memory.entries import Entries
from inference.memory.policies import Policy


class PruneSimilar(Policy, name="prune_similar"):
    """Forget the frame that resembles the new one most; the first frame stays.

    Source: the frame pruning of SurgSAM2 (Liu et al. 2024). Similarity of two frames: the cosine of their keys, all
    cells as one vector. Simplified: SurgSAM2 keeps a fixed number out of the latest frames, and compares features of
    its encoder. `usage` holds the similarity of the entry's frame to the frame that is about to be stored.
    """

    default_frames = 2
    one_size = True

    def before_write(self, entries: Entries, key: Tensor, values: Tensor) -> None:
        rows = entries.order().view(-1, len(key))          # whole frames, one after another
        alike = cosine_similarity(entries.keys[rows].flatten(1), key.reshape(1, -1))
        entries.usage[rows] = alike[:, None].expand_as(rows).to(entries.usage.dtype)

    def score(self, entries: Entries, now: int) -> Tensor:
        return -entries.usage

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write


class MergeSimilar(Policy, name="merge_similar"):
    """When the bank is full, the two most similar neighbors in time become one, in each cell on its own.

    Source: the memory bank compression of MA-LMM (He et al. 2024), which also averages keys with the number of frames
    that each stands for as its weight. In each cell, the cosine of the keys of every two entries that follow each other
    in time is compared; of the best pair, the later entry becomes the mean of both (keys and values), and the earlier
    one leaves. Protected entries are not merged. Simplified: the new frame takes part from the next write on; with one
    frame there is nothing to merge. `usage` counts the entries merged into this one; it is -1 for those that leave.
    """

    default_frames = 2
    one_size = True

    def before_write(self, entries: Entries, key: Tensor, values: Tensor) -> None:
        full = entries.held + (1 + self.temporary_frames) * len(key) > entries.rows
        rows = _by_cell(entries, len(key))
        if not full or len(rows) < 2:
            return
        free = ~self.protected(entries)[rows]
        for frame in self.kept:
            free = free & (entries.written[rows] != frame)
        keys = entries.keys[rows]
        pair = free[:-1] & free[1:]
        alike = cosine_similarity(keys[:-1], keys[1:], dim=2).masked_fill(~pair, -2)
        first = alike.argmax(0, keepdim=True)
        found = pair.gather(0, first)[0]
        target = rows.gather(0, first + 1)[0]
        source = torch.where(found, rows.gather(0, first)[0], rows.gather(0, free.byte().argmax(0, keepdim=True))[0])
        count, others = entries.usage[source] + 1, entries.usage[target] + 1
        merge(entries, source, target, torch.where(found, count / (count + others), 0))
        entries.usage[target] = torch.where(found, count + others, others) - 1
        entries.usage[source] = torch.full_like(count, -1)

    def score(self, entries: Entries, now: int) -> Tensor:
        return entries.written.to(entries.usage.dtype).masked_fill(entries.usage < 0, -1)


def _by_cell(entries: Entries, cells: int) -> Tensor:
    """Rows of the stored entries, [entries of a cell, HW], the oldest first. Each cell has equally many."""
    place = entries.cell * (entries.written.max() + 1) + entries.written
    return place.argsort().view(cells, -1).T
