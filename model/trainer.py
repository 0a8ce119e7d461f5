"""The training loop: optimiser, precision, distribution, checkpoints, resume.

Iteration t trains on samples t*B .. (t+1)*B of a data set whose sample i depends on (seed, i) alone, and
draws its own random numbers from (seed, t): a run that was killed and resumed equals one that was not, bit
for bit on the CPU, and several processes share each batch.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset

from model.checkpoint import CheckpointError, load_state, read_file, save_network
from model.config import ConfigError
from model.distribution import Processes
from model.losses import LossError, mean_intersection_over_union
from model.network import STCN, normalise
from model.objective import ObjectiveConfig, clip_loss
from model.signals import StopSignals, ignore_interrupts
from model.training_log import TrainingLog

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how; the defaults are the thesis's static stage."""

    iterations: int = 300_000
    batch_size: int = 16                  # samples an iteration, all processes and accumulation steps together
    accumulate: int = 1                   # forward-backward passes an iteration
    optimizer: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-7
    schedule: Literal["step", "linear"] = "step"
    lr_drop_at: int = 150_000             # "step": lr times lr_drop from here on
    lr_drop: float = 0.1
    warmup: int = 0                       # iterations from 0 to lr
    lr_floor: float = 0.02                # "linear": share of lr left at the end
    max_gradient_norm: float | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False                 # torch.compile the loss and the network
    seed: int = 0
    workers: int = 2                      # loading processes, of each training process
    log_every: int = 20
    picture_every: int = 500
    save_every: int = 1000
    keep_checkpoints: int = 3
    pretrained: bool = True               # start the encoders from ImageNet weights, unless weights are given
    extra_channel: Literal["zeros", "orthogonal"] = "zeros"   # how a new mask channel starts

    def learning_rate(self, iteration: int) -> float:
        """Learning rate of `iteration`, a pure function of it."""
        rate = self.lr
        if iteration < self.warmup:
            rate *= (iteration + 1) / self.warmup
        if self.schedule == "step":
            return rate * (self.lr_drop if iteration >= self.lr_drop_at else 1)
        return rate * (1 - (1 - self.lr_floor) * iteration / self.iterations)


class ClipObjective(nn.Module):
    """clip_loss as a module, so that it can be distributed and compiled."""

    def __init__(self, network: STCN, config: ObjectiveConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(self, frames: Tensor, labels: Tensor, num_objects: Tensor, iteration: int) -> dict:
        return clip_loss(self.network, frames, labels, num_objects, iteration, self.config)


class Trainer:
    """Trains `network` on `samples` and leaves checkpoints and a TensorBoard log under `output`.

    Args:
        samples: map-style data set whose item i is sample i (see `dataset.clips.Clips`).
        description: the resolved configuration, stored in every checkpoint.
        validate: called every `validate_every` iterations with the network in evaluation mode; returns scores, of
        which "J&F" decides which checkpoint is kept as `best.pth`.
    """

    def __init__(
        self, network: STCN, samples: Dataset, config: TrainingConfig, objective: ObjectiveConfig, output: Path,
        device: torch.device, description: dict, validate: Callable[[STCN], dict[str, float]] | None = None,
        validate_every: int = 0,
    ) -> None:
        self.processes = Processes(device)
        self.network = network.to(device, memory_format=torch.channels_last).train()
        self.samples, self.config, self.output, self.device = samples, config, output, device
        self.description, self.validate, self.validate_every = description, validate, validate_every
        self.iteration, self.best = 0, -math.inf              # finished iterations; best J&F so far
        module = ClipObjective(self.network, objective)
        module = torch.compile(module) if config.compile else module
        self.objective = DistributedDataParallel(module) if self.processes.count > 1 else module
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            self.network.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints of this run, oldest first."""
        return sorted((self.output / "checkpoints").glob("iteration_*.pth"))

    def run(self) -> Path:
        """Train to the end; returns the path of the final weights.

        SIGINT and SIGTERM save a checkpoint and raise KeyboardInterrupt; a loss that is not finite, LossError.
        """
        config = self.config
        log = TrainingLog(
            self.output / "log", self.iteration, config.iterations, self.output.name, self.processes.first
        )
        with log, StopSignals() as signals:
            for batch in self._batches():
                log.waited()
                values = self._step(batch, log)
                self.iteration += 1
                log.step(config.batch_size)
                if self.iteration % config.log_every == 0 or self.iteration == config.iterations:
                    means = self.processes.mean(torch.stack([value.float() for value in values.values()]))
                    log.scalars(dict(zip(values, means.tolist(), strict=True)), self.iteration, self.device)
                stopping = self.processes.any(signals.received is not None, self.device)
                if self.iteration % config.save_every == 0 or stopping:
                    self.save()
                if stopping:
                    raise KeyboardInterrupt(
                        f"{signals.received}: stopped after iteration {self.iteration}, saved "
                        f"{self.checkpoints[-1]}; go on with --resume auto"
                    )
                if self.validate_every and self.iteration % self.validate_every == 0:
                    self._validate(log)
        final = self.output / "network.pth"
        if self.processes.first:
            save_network(final, self.network)
        self.processes.wait()
        return final

    def _step(self, batch: dict[str, Tensor], log: TrainingLog) -> dict[str, Tensor]:
        """One optimiser step; returns what is worth logging, still on the device."""
        config = self.config
        torch.manual_seed(config.seed * 1_000_003 + self.iteration)     # regularisers draw from (seed, iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate(self.iteration)
        self.optimizer.zero_grad(set_to_none=True)
        parts = [dict(zip(batch, values, strict=True)) for values in zip(
            *(tensor.chunk(config.accumulate) for tensor in batch.values()), strict=True
        )]
        logged = [self._forward_backward(part, part is parts[-1], len(parts), log) for part in parts]
        values = {name: torch.stack([entry[name] for entry in logged]).mean() for name in logged[0]}
        if not math.isfinite(self.processes.mean(values["total"].clone()).item()):
            self._stop_on(values["total"].item(), batch["index"])
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.max_gradient_norm or math.inf)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        rate = torch.tensor(config.learning_rate(self.iteration), device=self.device)
        return {**values, "gradient_norm": norm, "learning_rate": rate}

    def _forward_backward(
        self, batch: dict[str, Tensor], last: bool, parts: int, log: TrainingLog
    ) -> dict[str, Tensor]:
        """Accumulate the gradients of a part of the batch; processes exchange theirs after the last one."""
        frames = normalise(batch["frames"].to(self.device, non_blocking=True))
        labels = batch["labels"].to(self.device, non_blocking=True)
        distributed = isinstance(self.objective, DistributedDataParallel)
        alone = self.objective.no_sync() if distributed and not last else nullcontext()
        precision = _DTYPES[self.config.precision]
        with alone:
            with torch.autocast(self.device.type, precision, enabled=precision is not torch.float32):
                outcome = self.objective(frames, labels, batch["num_objects"], self.iteration)
            self.scaler.scale(outcome["total"] / parts).backward()
        masks, objects = outcome.pop("masks").detach(), batch["num_objects"].tolist()
        if last and self.iteration % self.config.picture_every == 0:
            log.pictures(frames[0], labels[0], masks[0, :, : objects[0]], self.iteration)
        values = {name: torch.as_tensor(value, device=self.device).detach() for name, value in outcome.items()}
        for frame in (1, 2):
            values[f"iou_frame_{frame}"] = mean_intersection_over_union(masks[:, frame - 1], labels[:, frame], objects)
        values["gap"] = batch["gap"].float().mean().to(self.device)
        return values

    def save(self) -> None:
        """Write a checkpoint to resume from, then drop the oldest beyond `keep_checkpoints`."""
        if self.processes.first:
            training = {
                "iteration": self.iteration, "optimizer": self.optimizer.state_dict(), "best": self.best,
                "scaler": self.scaler.state_dict(), "config": self.description,
            }
            save_network(self.output / "checkpoints" / f"iteration_{self.iteration:07d}.pth", self.network, training)
            for old in self.checkpoints[: -self.config.keep_checkpoints]:
                old.unlink()
        self.processes.wait()

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of this very run; raises CheckpointError for any other file."""
        content = read_file(path)
        training = content.get("training")
        if training is None:
            raise CheckpointError(f"{path}: expected a training checkpoint, found weights alone; use --init-weights")
        load_state(self.network, content["network"], str(path))
        self.optimizer.load_state_dict(training["optimizer"])
        self.scaler.load_state_dict(training["scaler"])
        self.iteration, self.best = training["iteration"], training["best"]

    def resume_newest(self) -> Path | None:
        """Continue from the newest checkpoint that loads, if there is any; a damaged one is passed over, said so."""
        for path in reversed(self.checkpoints):
            try:
                self.resume(path)
                return path
            except CheckpointError as error:
                print(f"warning: {error}; trying the one before", file=sys.stderr)
        return None

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        """This process's share of every remaining batch."""
        batch, total, (rank, count) = self.config.batch_size, self.config.iterations, self._share()
        share = batch // count
        numbers = [
            list(range(t * batch + rank * share, t * batch + (rank + 1) * share)) for t in range(self.iteration, total)
        ]
        workers = self.config.workers
        yield from DataLoader(
            self.samples, batch_sampler=numbers, num_workers=workers, pin_memory=self.device.type == "cuda",
            worker_init_fn=ignore_interrupts, prefetch_factor=4 if workers else None,
        )

    def _share(self) -> tuple[int, int]:
        parts = self.processes.count * self.config.accumulate
        if self.config.batch_size % parts:
            raise ConfigError(
                f"training.batch_size: expected a multiple of processes x accumulate = {parts}, found "
                f"{self.config.batch_size}"
            )
        return self.processes.rank, self.processes.count

    def _validate(self, log: TrainingLog) -> None:
        if self.processes.first:
            self.network.eval()
            scores = self.validate(self.network)
            self.network.train()
            log.validation(scores, self.iteration)
            if scores["J&F"] > self.best:
                self.best = scores["J&F"]
                save_network(self.output / "best.pth", self.network)
        self.processes.wait()
        log.waited()

    def _stop_on(self, loss: float, indices: Tensor) -> None:
        last = self.checkpoints[-1] if self.checkpoints else "none yet"
        raise LossError(
            f"loss is {loss} at iteration {self.iteration}, samples {indices.tolist()}; the last checkpoint is "
            f"untouched: {last}; try a smaller learning rate or precision fp32"
        )
