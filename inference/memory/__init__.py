"""Memory banks by name.

A new policy is a class in a file of its own and a line in `POLICIES`.
"""

from collections.abc import Callable

from inference.memory.bank import MemoryBank, Readout
from inference.memory.policies import Admission, EveryK, FirstAndLatest, LeastFrequentlyUsed, Policy

__all__ = ["INDICES", "POLICIES", "Admission", "MemoryBank", "MemoryConfigError", "Policy", "Readout", "build_memory"]

INDICES = ("topk", "softmax")
POLICIES: dict[str, Callable[..., Policy]] = {
    "every_k": lambda index, protect_first, seed: EveryK(protect_first),
    "first_and_latest": lambda index, protect_first, seed: FirstAndLatest(protect_first),
    "lfu": lambda index, protect_first, seed: LeastFrequentlyUsed(index, protect_first),
}


class MemoryConfigError(ValueError):
    """Memory options that contradict one another."""


def build_memory(
    name: str, frames: int | None = None, top_k: int = 20, index: str = "topk", include_last: bool = False,
    protect_first: bool = False, seed: int = 0,
) -> MemoryBank:
    """A memory bank.

    Args:
        name: one of POLICIES. frames: capacity in frames, a hard bound; None: the policy's default (lfu: 2,
        the thesis's; the others: unbounded).
        top_k: entries each query cell reads. index: what lfu counts, "topk" or "softmax".
        include_last: hold the previous frame as well, until the next; it takes one frame of the capacity.
        protect_first: never evict the first frame written. seed: for policies that draw.
    Raises MemoryConfigError.
    """
    if name not in POLICIES:
        raise MemoryConfigError(f"--memory {name}: expected one of {', '.join(POLICIES)}")
    if index not in INDICES:
        raise MemoryConfigError(f"--index {index}: expected one of {', '.join(INDICES)}")
    if top_k < 1:
        raise MemoryConfigError(f"--top-k {top_k}: expected at least 1")
    policy = POLICIES[name](index=index, protect_first=protect_first, seed=seed)
    policy.temporary_frames = policy.temporary_frames or include_last
    frames = policy.default_frames if frames is None else frames
    smallest = 1 + policy.temporary_frames + (protect_first and name != "first_and_latest")
    if frames is not None and frames < smallest:
        raise MemoryConfigError(
            f"--memory-frames {frames}: expected at least {smallest} for {name} with include_last="
            f"{policy.temporary_frames}, protect_first={policy.protect_first}"
        )
    return MemoryBank(policy, top_k, frames)
