"""One process or several (started by torchrun): who am I, and how do we agree."""

import os
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


class Processes:
    """The processes of one run, training or evaluation. Without torchrun there is one, which needs no backend.

    Args:
        device: of the tensors that the processes exchange: nccl serves GPUs, gloo the CPU. An evaluation exchanges
        none, so it keeps the CPU, whatever its network runs on.
        timeout: how long a process waits for the others before it gives up.
    """

    def __init__(self, device: torch.device, timeout: timedelta) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timeout)

    @classmethod
    def of_training(cls, device: torch.device) -> "Processes":
        """Processes that exchange gradients on `device`; the others wait while the first one validates."""
        return cls(device, timedelta(days=1))

    @classmethod
    def of_evaluation(cls) -> "Processes":
        """Processes that share sequences; each waits for the one with the longest share."""
        return cls(torch.device("cpu"), timedelta(days=7))

    @property
    def first(self) -> bool:
        """Whether this process writes what exists once per run: checkpoints, logs, records, scores."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Mean over processes; `values` is changed in place."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def gather(self, value: T) -> list[T]:
        """The value of each process, by rank; it is pickled."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the group; nothing to do if there is none."""
        if dist.is_initialized():
            dist.destroy_process_group()
