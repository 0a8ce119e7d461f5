"""The options of a memory bank, and the policies by name."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from inference.errors import MemoryConfigError
from inference.options import Options, option

POLICIES: dict[str, type[Any]] = {}      # name -> subclass of inference.memory.policies.Policy, which fills it


@dataclass(frozen=True)
class MemoryOptions(Options):
    """Which memory bank, how large it is, when it is written and how it is read."""

    error: ClassVar[type[ValueError]] = MemoryConfigError

    memory: str = option("lfu", "memory bank", choices=lambda: sorted(POLICIES))
    memory_frames: int | None = option(
        None, "capacity in frames, a hard bound (default: 2; every_k and first_and_latest: unbounded)", metavar="N",
        label="{} frames")
    memory_every: int = option(5, "store every K-th frame", metavar="K", minimum=1, label="every {} frames",
                              short="every{}")
    top_k: int = option(20, "memory entries that each query cell reads", metavar="K", minimum=1, label="top {}",
                       short="top{}")
    index: Literal["topk", "softmax", "log"] = option(
        "topk", "what lfu counts: membership in the top-k, softmax weight, or log(1 + membership) per frame",
        label="{} index", short="{}")
    include_last: bool = option(
        False, "also hold the previous frame, until the next; it takes one frame of the capacity",
        label="previous frame included", short="last")
    protect_first: bool = option(False, "the first frame leaves last", label="first frame protected",
                                 short="first")
    seed: int = option(0, "for banks that draw random numbers", metavar="S", label="seed {}")
