"""Training in one process or several (torchrun): who am I, and how do we agree."""

import os
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """The processes of one training run; alone where it was started without torchrun.

    nccl on GPUs, gloo on CPUs; one process needs neither.
    """

    def __init__(self, device: torch.device) -> None:
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if self.count > 1 and not dist.is_initialized():
            # the others wait as long as the first one validates
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(days=1))

    @property
    def first(self) -> bool:
        """Whether this process writes checkpoints and logs."""
        return self.rank == 0

    def mean(self, values: Tensor) -> Tensor:
        """Mean over processes."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process."""
        if self.count == 1:
            return flag
        flags = torch.tensor(float(flag), device=device)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()

    def close(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()
