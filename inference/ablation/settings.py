"""The cells of an ablation: every combination of memory options that makes a difference."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from inference.memory import INDICES, POLICIES, MemoryBank, MemoryConfigError, build_memory
from inference.memory.policies import FirstAndLatest, LeastFrequentlyUsed
from inference.report.runs import BANKS


@dataclass(frozen=True)
class Cell:
    """One setting of the memory bank; fields are named as the flags, None where the bank does not ask for it."""

    memory: str
    memory_frames: int | None
    memory_every: int | None
    top_k: int
    index: str | None
    include_last: bool = False
    protect_first: bool = False

    @property
    def flags(self) -> dict:
        """What a single run of this cell is asked for: values of the memory flags."""
        return asdict(self) | {"memory_every": self.memory_every or 1, "index": self.index or INDICES[0]}

    @property
    def name(self) -> str:
        """Of its records and its folder of masks: "lfu2-every5-top20-topk"."""
        parts = [
            f"{self.memory}{self.memory_frames or ''}",
            f"every{self.memory_every}" if self.memory_every else "",
            f"top{self.top_k}", self.index or "",
            "last" if self.include_last else "", "first" if self.protect_first else "",
        ]
        return "-".join(filter(None, parts))

    def bank(self) -> MemoryBank:
        """Raises MemoryConfigError for options that contradict one another."""
        flags = self.flags
        del flags["memory_every"]                                 # the segmenter's
        return build_memory(flags.pop("memory"), flags.pop("memory_frames"), **flags)


def cells_of(
    memories: Sequence[str], capacities: Sequence[int], intervals: Sequence[int], top_ks: Sequence[int],
    indices: Sequence[str], include_last: bool = False, protect_first: bool = False,
) -> tuple[list[Cell], list[str]]:
    """The product of the lists, in their order and without repeats; and why which combinations are left out.

    Banks that are unbounded by default run once instead of once a capacity, `index` multiplies lfu and the banks that
    derive from it, and first_and_latest has no use for an interval. Raises MemoryConfigError if nothing is left.
    """
    asked = product(memories, capacities, intervals, top_ks, indices)
    cells = dict.fromkeys(_collapsed(*options, include_last, protect_first) for options in asked)
    legal, notes = [], []
    for cell in cells:
        try:
            cell.bank()
            legal.append(cell)
        except MemoryConfigError as error:
            notes.append(f"{cell.name} left out: {error}")
    if not legal:
        raise MemoryConfigError(notes[-1])
    return legal, notes


def titles(cells: Sequence[Cell]) -> dict[Cell, tuple[str, str]]:
    """(family, title) of each cell in words: "LFU, softmax index" and "LFU, 2 frames, softmax index".

    Options that all cells share are left out of both.
    """
    varying = {
        option for option in ("memory_every", "top_k", "index")
        if len({value for cell in cells if (value := getattr(cell, option)) is not None}) > 1
    }
    named = {}
    for cell in cells:
        bank = BANKS.get(cell.memory, cell.memory.replace("_", "-"))
        words = {
            "memory_every": f"every {cell.memory_every}" * bool(cell.memory_every and "{every}" not in bank),
            "top_k": f"top {cell.top_k}", "index": f"{cell.index} index" * bool(cell.index),
        }
        more = [text for option, text in words.items() if option in varying and text]
        frames = f"{cell.memory_frames} frame{'s' * (cell.memory_frames != 1)}" if cell.memory_frames else ""
        bank = bank.format(every=cell.memory_every)
        named[cell] = ", ".join([bank, *more]), ", ".join(filter(None, [bank, frames, *more]))
    return named


def _collapsed(
    memory: str, frames: int, every: int, top_k: int, index: str, include_last: bool, protect_first: bool
) -> Cell:
    """The cell of these options, without those that make no difference to this bank."""
    policy = POLICIES[memory]
    return Cell(
        memory,
        None if policy.default_frames is None else frames,
        None if issubclass(policy, FirstAndLatest) else every,
        top_k,
        policy(index=index).index if issubclass(policy, LeastFrequentlyUsed) else None,
        include_last, protect_first,
    )
