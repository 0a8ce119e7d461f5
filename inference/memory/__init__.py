"""Memory banks by name.

A new policy is a class in a file of its own in this folder, `class Mine(Policy, name="mine")`: every file here is
imported, and no other file changes (docs/MEMORY.md).
"""

import importlib
import pkgutil

from inference.errors import MemoryConfigError
from inference.memory.bank import MemoryBank, Readout
from inference.memory.policies import Admission, Policy

__all__ = ["INDICES", "POLICIES", "Admission", "MemoryBank", "MemoryConfigError", "Policy", "Readout", "build_memory"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

INDICES = ("topk", "softmax", "log")
POLICIES = Policy.registry


def build_memory(
    name: str, frames: int | None = None, top_k: int = 20, index: str = "topk", include_last: bool = False,
    protect_first: bool = False, seed: int = 0,
) -> MemoryBank:
    """A memory bank.

    Args:
        name: one of POLICIES. frames: capacity in frames, a hard bound; None: the policy's default (2, the thesis's,
        of those that forget; every_k and first_and_latest: unbounded).
        top_k: entries each query cell reads. index: what lfu counts, "topk", "softmax" or "log".
        include_last: hold the previous frame as well, until the next; it takes one frame of the capacity.
        protect_first: never evict the first frame written. seed: for policies that draw.
    Raises MemoryConfigError.
    """
    if name not in POLICIES:
        raise MemoryConfigError(f"memory {name}: expected one of {', '.join(sorted(POLICIES))}")
    if index not in INDICES:
        raise MemoryConfigError(f"index {index}: expected one of {', '.join(INDICES)}")
    if top_k < 1:
        raise MemoryConfigError(f"top_k {top_k}: expected at least 1")
    policy = POLICIES[name](protect_first=protect_first, index=index, seed=seed)
    policy.temporary_frames = policy.temporary_frames or include_last
    frames = policy.default_frames if frames is None else frames
    smallest = 1 + policy.temporary_frames + (policy.protect_first and name != "first_and_latest")
    if frames is not None and frames < smallest:
        raise MemoryConfigError(
            f"memory_frames {frames}: expected at least {smallest} for {name} with include_last="
            f"{policy.temporary_frames}, protect_first={policy.protect_first}"
        )
    return MemoryBank(policy, top_k, frames)
