"""Replaying memory policies over the keys of one video, all in lockstep, without a network."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from dataset.errors import DatasetError
from inference.lab.clairvoyant import Clairvoyant, retained_bound
from inference.lab.contestant import Contestant, Outcome, most_likely
from inference.lab.keys import VideoKeys
from inference.lab.lookup_bank import LabBank, SharedReads
from inference.lab.reference import Reference
from inference.memory import INDICES, POLICIES, MemoryBank, MemoryConfigError, MemoryOptions, build_memory, make_bank
from inference.quality import FrameQuality

UNBOUNDED, BOUND, CLAIRVOYANT = "unbounded", "bound", "clairvoyant"     # rows of every table

# Row of the tables -> policy and its options. every_k is UNBOUNDED.
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in POLICIES if name != "every_k"},
    **{f"lfu-{index}": ("lfu", {"index": index}) for index in INDICES[1:]},
}
OF_A_ROW = ("memory", "memory_frames", "index")        # memory options that differ between the rows
DEFAULT_ROWS = tuple(name for name, (policy, _) in ROWS.items() if POLICIES[policy].default_frames is not None)
QUALITY_ROWS = tuple(name for name, (policy, _) in ROWS.items() if POLICIES[policy].needs_quality)


@dataclass(frozen=True)
class LabOptions:
    """What is replayed: every row at every capacity (frames); policies without a capacity run once.

    Raises MemoryConfigError for a row that does not exist.
    """

    rows: tuple[str, ...] = DEFAULT_ROWS
    capacities: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    memory: MemoryOptions = field(default_factory=MemoryOptions)       # what all rows share: interval, top-k, ...

    def __post_init__(self) -> None:
        for name in self.rows:
            if name not in ROWS:
                raise MemoryConfigError(f"--policies {name}: expected some of {', '.join(ROWS)}")

    def banks(self, row: str) -> list[MemoryBank]:
        """One for each capacity that the policy can have."""
        policy, more = ROWS[row]
        options = replace(self.memory, memory=policy, **more)
        banks = []
        for frames in self.capacities if POLICIES[policy].default_frames is not None else (None,):
            with suppress(MemoryConfigError):               # too small for the frames that this policy must hold
                banks.append(make_bank(replace(options, memory_frames=frames)))
        return banks

    @property
    def recorded(self) -> dict[str, Any]:
        """What replay.json keeps of the options; rows and capacities stand for the bank's own ones."""
        shared = {name: value for name, value in asdict(self.memory).items() if name not in OF_A_ROW}
        return {"rows": self.rows, "capacities": self.capacities, **shared}


@dataclass(frozen=True)
class Result:
    """A line of the lab's table."""

    sequence: str
    policy: str                  # row of ROWS, or UNBOUNDED, BOUND, CLAIRVOYANT
    memory: str                  # --memory, --memory-frames, --index of eval_davis.py; "" for BOUND and CLAIRVOYANT
    memory_frames: int | None
    index: str
    bound: float | None          # of the retained mass at this capacity
    outcome: Outcome


class Replay:
    """All rows at all capacities over one video, and the unbounded bank, the clairvoyant policy and the bound.

    Args:
        tick: called after each frame that the unbounded bank has read, and again after each that all banks have read.
    Raises DatasetError for a row that needs the quality of the masks if that was not recorded.
    """

    def __init__(self, video: VideoKeys, options: LabOptions, tick: Callable[[], object] = lambda: None) -> None:
        self.video, self.options, self.tick = video, options, tick
        if video.quality is None and (lacking := [row for row in options.rows if row in QUALITY_ROWS]):
            raise DatasetError(f"{video.name}: expected keys with the quality of the masks for {', '.join(lacking)}, "
                               "found none; run `keys` again, or leave these out of --policies")
        keys = torch.from_numpy(video.keys).float()                   # [T, C_k, h, w]
        self.keys = keys.contiguous(memory_format=torch.channels_last)     # so that no bank has to copy them
        self.shares = torch.from_numpy(video.shares).float()          # [T, objects, h, w], or [1, ...] without truth
        cells = self.keys.flatten(2).transpose(1, 2)                  # [T, HW, C_k]
        self.reference = Reference(cells, options.memory.memory_every, options.memory.top_k, tick)
        self.reads = SharedReads(self.reference)
        self.unbounded = self._contestant(UNBOUNDED, build_memory("every_k", top_k=options.memory.top_k))
        banks = [(row, bank) for row in options.rows for bank in options.banks(row)]
        banks += [
            (CLAIRVOYANT, MemoryBank(Clairvoyant(self.reference), options.memory.top_k, frames))
            for frames in options.capacities
        ]
        self.contestants = [self.unbounded, *(self._contestant(row, bank) for row, bank in banks)]

    def run(self) -> list[Result]:
        """Replay the video: all banks read a frame, are measured, and may store it."""
        for now, key in enumerate(self.keys):
            self.reads.begin(now)
            if now:
                truth = self._truth(now)
                for contestant in self.contestants:
                    contestant.read(key, now)
                for contestant in self.contestants:
                    contestant.measure(now, self.unbounded.labels, truth)
            for contestant in self.contestants:
                contestant.write(key, now, self._quality(now))
            self.tick()
        bounds = {frames: retained_bound(self.reference, frames) for frames in self.options.capacities}
        results = [self._result(contestant, bounds) for contestant in self.contestants]
        limits = [
            Result(self.video.name, BOUND, "", frames, "", bound, Outcome(bound, None, None, ()))
            for frames, bound in bounds.items()
        ]
        return results + limits

    def add(self, row: str, bank: MemoryBank) -> MemoryBank:
        """One more bank; returns the one that is read and written in its place. Call it before `run`."""
        self.contestants.append(self._contestant(row, bank))
        return self.contestants[-1].bank

    def _contestant(self, row: str, bank: MemoryBank) -> Contestant:
        return Contestant(row, LabBank(bank, self.reads), self.options.memory.memory_every, self.shares[0])

    def _quality(self, now: int) -> FrameQuality | None:
        """Of the masks of a frame, as they were recorded."""
        return None if self.video.quality is None else FrameQuality(*torch.from_numpy(self.video.quality[now]))

    def _truth(self, now: int) -> Tensor | None:
        """The labels [h, w] of a scored frame: all but the first and the last, as in DAVIS."""
        return most_likely(self.shares[now]) if now < len(self.shares) - 1 else None

    def _result(self, contestant: Contestant, bounds: dict[int, float]) -> Result:
        frames, policy = contestant.bank.frames, contestant.bank.policy
        memory = next((name for name, kind in POLICIES.items() if type(policy) is kind), "")
        index = "" if "index" in policy.ignores else policy.options.index
        bound = None if frames is None else bounds.get(frames)
        return Result(self.video.name, contestant.row, memory, frames, index, bound, contestant.outcome())
