"""Several processes (torchrun) that share the sequences of an evaluation."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

import torch.distributed

from dataset.folder import FolderSequence

S = TypeVar("S", bound=FolderSequence)


class Ranks:
    """This process among those that torchrun started; the only one without torchrun."""

    def __init__(self) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.count > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo", timeout=timedelta(days=7))   # for the longest share

    @property
    def first(self) -> bool:
        """Whether this process keeps the run's record and scores it."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            torch.distributed.barrier()

    def share(self, sequences: Sequence[S]) -> list[S]:
        """This process's sequences: the longest first, each to the process with the fewest frames so far."""
        if self.count == 1:
            return list(sequences)
        frames = [0] * self.count
        mine = []
        for sequence in sorted(sequences, key=lambda s: (-len(s), s.name)):
            rank = frames.index(min(frames))
            frames[rank] += len(sequence)
            if rank == self.rank:
                mine.append(sequence)
        return mine
