"""From samples to this process's batches, in the order of the iterations."""

from collections.abc import Generator, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from model.errors import ConfigError
from model.processes import Processes
from model.training.config import TrainingConfig
from model.training.signals import ignore_stop_signals


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
    loader = iter(DataLoader(
        samples, batch_sampler=_Shares(start, config, processes), num_workers=config.workers,
        pin_memory=device.type == "cuda", worker_init_fn=ignore_stop_signals,
        prefetch_factor=4 if config.workers else None,
    ))
    try:
        yield from loader
    finally:      # after an error too: its traceback would keep the workers alive, and they ignore SIGTERM
        getattr(loader, "_shutdown_workers", lambda: None)()


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
