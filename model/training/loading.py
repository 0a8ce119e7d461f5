"""From samples to this process's batches, in the order of the iterations."""

import os
from collections.abc import Generator, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from model.errors import ConfigError
from model.processes import Processes
from model.training.config import TrainingConfig
from model.training.signals import ignore_stop_signals

_MOST_WORKERS = 8           # on a GPU; more only take memory
_MOST_WORKERS_CPU = 2       # the network itself needs the cores


def load_batches(
    samples: Dataset[dict[str, Tensor | int]], config: TrainingConfig, processes: Processes, start: int,
    device: torch.device,
) -> Generator[dict[str, Tensor], None, None]:
    """This process's share of every batch, from iteration `start` to the last. Close the generator after an error.

    Raises ConfigError if the batch cannot be divided among processes and accumulation steps.
    """
    parts = processes.count * config.accumulate
    if config.batch_size % parts:
        raise ConfigError(
            f"training.batch_size: expected a multiple of processes x accumulate = {parts}, found {config.batch_size}"
        )
    workers = default_workers(device) if config.workers is None else config.workers
    loader = iter(DataLoader(
        samples, batch_sampler=_Shares(start, config, processes), num_workers=workers,
        pin_memory=device.type == "cuda", worker_init_fn=ignore_stop_signals, prefetch_factor=4 if workers else None,
    ))
    try:
        yield from loader
    finally:      # after an error too: its traceback would keep the workers alive, and they ignore SIGTERM
        getattr(loader, "_shutdown_workers", lambda: None)()


def default_workers(device: torch.device) -> int:
    """How many loading processes this training process starts if the configuration does not say.

    The cores that it may use are divided among the training processes of the machine. Each keeps one core for itself
    and has a loading process for each other core: at least 1; at most 8, or 2 if the network is on the CPU.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))        # set by torchrun
    return max(1, min(share - 1, _MOST_WORKERS_CPU if device.type == "cpu" else _MOST_WORKERS))


class _Shares(Sampler[list[int]]):
    """The sample numbers of this process's share of each batch, from iteration `start` on."""

    def __init__(self, start: int, config: TrainingConfig, processes: Processes) -> None:
        self.start, self.config, self.processes = start, config, processes

    def __len__(self) -> int:
        return self.config.iterations - self.start

    def __iter__(self) -> Iterator[list[int]]:
        share = self.config.batch_size // self.processes.count
        for iteration in range(self.start, self.config.iterations):
            first = iteration * self.config.batch_size + self.processes.rank * share
            yield list(range(first, first + share))
