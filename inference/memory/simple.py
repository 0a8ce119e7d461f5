"""Simple replacement rules, as baselines for all others."""

import torch
from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.policies import Policy
from inference.transfer import upload
from model.matching import TopK


class FirstInFirstOut(Policy, name="fifo"):
    """The first frame, and the latest memory frames that fit beside it.

    Rule: the oldest write leaves, but the first frame stays if the capacity has room for a second one. At two frames
    this is "first and latest memory frame", the strongest bank of its size without an index. Source: the queue in
    public implementations that limit STM's memory.
    """

    default_frames = 2

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write


class LeastRecentlyUsed(Policy, name="lru"):
    """Forget the entries whose last membership in a top-k is longest ago; entries never used count from their write.

    Source: the standard rule for caches. `usage` holds the video frame of the last use.
    """

    default_frames = 2

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        entries.set_usage(matches.indices, now)

    def score(self, entries: Entries, now: int) -> Tensor:
        return torch.maximum(entries.usage, entries.written.to(entries.usage.dtype))


class RandomReplacement(Policy, name="random"):
    """Forget entries drawn uniformly, the baseline of every index. The draw is a function of (seed, video frame)."""

    default_frames = 2
    ignores = Policy.ignores - {"seed"}

    def score(self, entries: Entries, now: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.options.seed * 1_000_003 + now)
        drawn = torch.rand(entries.held, generator=generator, dtype=torch.float64)
        return upload(drawn.to(entries.usage.dtype).numpy(), entries.usage.device)
