"""Replacement rules every other one is measured against."""

import torch
from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.policies import Policy
from model.matching import TopK


class FirstInFirstOut(Policy, name="fifo"):
    """The first frame, and the latest memory frames that fit beside it.

    Rule: the oldest write leaves; the first frame stays wherever it leaves room for a second one. At two frames this
    is "first and latest memory frame", the strongest bank of its size without any index. Source: the queue of
    public code that cuts STM's memory off.
    """

    default_frames = 2

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write


class LeastRecentlyUsed(Policy, name="lru"):
    """Forget the entries that no query cell's top-k has held for longest (or, never used, the oldest write).

    Source: the textbook rule of caches. `usage` holds the video frame of the last use.
    """

    default_frames = 2

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        entries.set_usage(matches.indices, now)

    def score(self, entries: Entries, now: int) -> Tensor:
        return torch.maximum(entries.usage, entries.written.double())


class RandomReplacement(Policy, name="random"):
    """Forget entries drawn uniformly: what any index has to beat. The draw is a function of (seed, video frame)."""

    default_frames = 2
    ignores = Policy.ignores - {"seed"}

    def score(self, entries: Entries, now: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + now)
        return torch.rand(entries.held, generator=generator, dtype=torch.float64).to(entries.written.device)
