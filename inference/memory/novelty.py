"""Our own proposal for banks of one or two frames: keep the annotation, and entries that no newer one can replace."""

import math

import torch
from torch import Tensor

from inference.memory.entries import BACKGROUND, Entries
from inference.memory.policies import Policy

_BLOCK = 1024         # entries compared with a new frame at once


class AnchoredNovelty(Policy, name="novelty"):
    """Forget the entries that a newer entry resembles most; the annotated cells of each object stay.

    Rule: a newer entry can replace an older one as well as their keys match, by the affinity
    exp(-||a - b||^2 / sqrt(C_k)), the largest over all entries written later. The entries with the best replacement
    leave. So a part of the scene that is seen repeatedly is held once, in its latest form, and a part that has left the
    view is kept. The cells that show an object, or are next to it, in the frame where its mask was first given leave
    after all others: only their values come from a given mask. Needs `owner`, which cells show an object at each write.
    `usage` holds the affinity of the best replacement.
    """

    default_frames = 2

    def before_write(self, entries: Entries, key: Tensor, values: Tensor) -> None:
        scale = 1 / math.sqrt(key.shape[1])
        distances = [torch.cdist(block, key).amin(1) for block in torch.split(entries.keys, _BLOCK)]
        affinity = (-scale * torch.cat(distances).to(entries.usage.dtype).square()).exp()
        entries.usage.copy_(torch.maximum(entries.usage, affinity))

    def score(self, entries: Entries, now: int) -> Tensor:
        return -entries.usage

    def protected(self, entries: Entries) -> Tensor:
        given = torch.zeros_like(entries.owner, dtype=torch.bool)
        for owner, since in enumerate(entries.since, BACKGROUND + 1):      # since: the frame of its first mask
            given |= (entries.owner == owner) & (entries.written == since)
        return given
