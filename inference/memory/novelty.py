"""Our own proposal for banks of a frame or two: keep the annotation, and what nothing newer can stand in for."""

import math

import torch
from torch import Tensor

from inference.memory.entries import BACKGROUND, Entries
from inference.memory.policies import Policy

_BLOCK = 1024         # entries compared with a new frame at once


class AnchoredNovelty(Policy, name="novelty"):
    """Forget the entries that a newer one resembles most; each object's annotated cells stay.

    Rule: how well a newer entry can stand in for an entry is the affinity of their keys, exp(-||a - b||^2 / sqrt(C_k)),
    largest over all entries written since; those with the best stand-in leave. So what is seen again and again is held
    once, in its latest form, and what has gone out of sight is kept. The cells that show an object, or lie next to it,
    in the frame that first gave its mask leave after all others: no others that show it have a value that was never
    predicted. Needs: `owner`, which cells show an object at each write. `usage` holds the best stand-in's affinity.
    """

    default_frames = 2

    def before_write(self, entries: Entries, key: Tensor, values: Tensor) -> None:
        scale = 1 / math.sqrt(key.shape[1])
        distances = [torch.cdist(block, key).amin(1) for block in entries.keys.split(_BLOCK)]
        affinity = (-scale * torch.cat(distances).double().square()).exp()
        entries.usage.copy_(torch.maximum(entries.usage, affinity))

    def score(self, entries: Entries, now: int) -> Tensor:
        return -entries.usage

    def protected(self, entries: Entries) -> Tensor:
        given = torch.tensor([-1, *entries.since], device=entries.owner.device)       # by owner: when it was annotated
        return (entries.owner != BACKGROUND) & (entries.written == given[entries.owner])
