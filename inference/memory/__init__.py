"""Memory banks by name.

A new policy is a class in a file of its own in this folder, `class Mine(Policy, name="mine")`. Every file here is
imported, and no other file changes (docs/MEMORY.md).
"""

import importlib
import pkgutil
from typing import Any, get_args, get_type_hints

from inference.errors import MemoryConfigError
from inference.memory.bank import MemoryBank
from inference.memory.found import Readout
from inference.memory.options import POLICIES, MemoryOptions
from inference.memory.policies import Admission, Policy

__all__ = [
    "INDICES", "POLICIES", "Admission", "MemoryBank", "MemoryConfigError", "MemoryOptions", "Policy", "Readout",
    "build_memory", "make_bank",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

INDICES: tuple[str, ...] = get_args(get_type_hints(MemoryOptions)["index"])


def build_memory(
    name: str, frames: int | None = None, top_k: int = MemoryOptions.top_k, **options: Any
) -> MemoryBank:
    """A memory bank.

    Args:
        name: one of POLICIES. frames: capacity in frames, a hard bound; None: the policy's default (2, as in the
        thesis, for those that forget; every_k and first_and_latest: unbounded). top_k: entries each query cell reads.
        options: further fields of MemoryOptions, by name: index, include_last, protect_first, seed.
    Raises MemoryConfigError.
    """
    return make_bank(MemoryOptions(memory=name, memory_frames=frames, top_k=top_k, **options))


def make_bank(options: MemoryOptions) -> MemoryBank:
    """The bank that these options describe; raises MemoryConfigError if its capacity is too small for them."""
    policy: Policy = POLICIES[options.memory](options)
    frames = policy.default_frames if options.memory_frames is None else options.memory_frames
    if frames is not None and frames < policy.smallest_capacity:
        raise MemoryConfigError(
            f"memory_frames {frames}: expected at least {policy.smallest_capacity} for {options.memory} with "
            f"include_last={policy.temporary_frames}, protect_first={options.protect_first}"
        )
    return MemoryBank(policy, options.top_k, frames)
