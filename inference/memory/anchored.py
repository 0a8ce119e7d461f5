"""Our own proposal for banks of a frame or two: the annotation as an anchor, the rest by recent use."""

import torch
from torch import Tensor

from inference.memory.entries import BACKGROUND, Entries
from inference.memory.policies import Policy
from model.matching import TopK

_DECAY = 0.9          # of the usage index, a frame read


class Anchored(Policy, name="anchored"):
    """Each object's annotated cells stay; the other entries compete by recent attention.

    Rule: the cells that show an object, or lie next to it, in the frame that first gave its mask cannot be evicted: no
    others that show it have values which were never predicted. The rest is ranked by the softmax weight it received,
    decayed by 0.9 a frame, so that an entry is judged by its present use and not by its past (lfu's index over age
    halves an entry's score only when its age has doubled). Needs: `owner`, which cells show an object at each write.
    """

    default_frames = 2

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        entries.decay_usage(_DECAY)
        entries.use(matches.indices, matches.weights)

    def score(self, entries: Entries, now: int) -> Tensor:
        return entries.usage

    def protected(self, entries: Entries) -> Tensor:
        given = torch.tensor([-1, *entries.since], device=entries.owner.device)       # by owner: when it was annotated
        return (entries.owner != BACKGROUND) & (entries.written == given[entries.owner])
