"""The training loop: optimiser, precision, distribution, checkpoints, resume.

Iteration t trains on samples t*B .. (t+1)*B of a data set whose sample i depends on (seed, i) alone, and
draws its own random numbers from (seed, t): a run that was killed and resumed equals one that was not, bit
for bit on the CPU, and several processes share each batch.
"""

import math
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, Sampler

from model.checkpoint import load_state, save_network
from model.config import ConfigError
from model.errors import CheckpointError, LossError
from model.losses import mean_intersection_over_union
from model.network import STCN, normalise
from model.objective import ObjectiveConfig, clip_loss
from model.processes import Processes
from model.storage import read_file
from model.training.config import TrainingConfig
from model.training.log import TrainingLog
from model.training.signals import StopSignals, ignore_stop_signals

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
        self.processes = Processes.of_training(device)
        self.network = network.to(device).to(memory_format=torch.channels_last).train()
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
        with log, StopSignals() as signals, closing(self._batches()) as batches:
            for batch in batches:
                log.waited()
                values = self._step(batch, log)
                self.iteration += 1
                log.step(config.batch_size)
                if self.iteration % config.log_every == 0 or self.iteration == config.iterations:
                    means = self.processes.mean(torch.stack([value.float() for value in values.values()]))
                    log.scalars(dict(zip(values, means.tolist(), strict=True)), self.iteration, self.device)
                if self.validate_every and self.iteration % self.validate_every == 0:
                    self._validate(log)
                stopping = self.processes.any(signals.received is not None)
                if self.iteration % config.save_every == 0 or stopping or self.iteration == config.iterations:
                    self.save()
                if stopping:
                    raise KeyboardInterrupt(
                        f"{signals.received}: stopped after iteration {self.iteration}, saved "
                        f"{self.checkpoints[-1]}; go on with --resume auto"
                    )
            final = self.output / "network.pth"            # a signal that comes now is too late to stop anything
            if self.processes.first:
                save_network(final, self.network)
        self.processes.wait()
        return final

    def _step(self, batch: dict[str, Tensor], log: TrainingLog) -> dict[str, Tensor]:
        """One optimiser step; returns what is worth logging, still on the device."""
        config = self.config
        stream = self.iteration * self.processes.count + self.processes.rank
        torch.manual_seed(config.seed * 1_000_003 + stream)      # regularisers draw from (seed, iteration, process)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate(self.iteration)
        self.optimizer.zero_grad(set_to_none=True)
        parts = [dict(zip(batch, values, strict=True)) for values in zip(
            *(tensor.chunk(config.accumulate) for tensor in batch.values()), strict=True
        )]
        logged = [self._forward_backward(part, part is parts[-1], len(parts), log) for part in parts]
        values = {name: torch.stack([entry[name] for entry in logged]).mean() for name in logged[0]}
        if not math.isfinite(self.processes.mean(values["total"].clone()).item()):
            self._stop_on("loss", values["total"].item(), batch["index"])
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.max_gradient_norm or math.inf)
        if not self.scaler.is_enabled() and not math.isfinite(norm.item()):     # the scaler skips such steps itself
            self._stop_on("gradient norm", norm.item(), batch["index"])
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
        module = self.objective
        alone = module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()
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
            current = self.output / "checkpoints" / _name(self.iteration)
            save_network(current, self.network, training)
            others = [path for path in self.checkpoints if path != current]
            for path in others[: len(others) + 1 - self.config.keep_checkpoints]:
                path.unlink()
        self.processes.wait()

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises CheckpointError for weights alone, for weights that are not finite, and where `output` holds later
        checkpoints, which going on from an earlier one would mix up.
        """
        training = self._load(path)
        if later := [other for other in self.checkpoints if other.name > _name(self.iteration)]:
            raise CheckpointError(
                f"{path}: is of iteration {training['iteration']}, but {later[-1]} is later; choose another --output"
            )

    def _load(self, path: Path) -> dict:
        content = read_file(path)
        training = content.get("training")
        if training is None:
            raise CheckpointError(f"{path}: expected a training checkpoint, found weights alone; use --init-weights")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in content["network"].values()):
            raise CheckpointError(f"{path}: expected finite weights, found NaN or infinity; resume an earlier one")
        load_state(self.network, content["network"], str(path))
        self.optimizer.load_state_dict(training["optimizer"])
        if training["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(training["scaler"])
        self.iteration, self.best = training["iteration"], training["best"]
        return training

    def resume_newest(self) -> Path | None:
        """Continue from the newest checkpoint that loads, if there is any; a damaged one is passed over, said so."""
        for path in reversed(self.checkpoints):
            try:
                self._load(path)
                return path
            except CheckpointError as error:
                print(f"warning: {error}; trying the one before", file=sys.stderr)
        return None

    def _batches(self) -> Generator[dict[str, Tensor], None, None]:
        """This process's share of every remaining batch."""
        parts = self.processes.count * self.config.accumulate
        if self.config.batch_size % parts:
            raise ConfigError(
                f"training.batch_size: expected a multiple of processes x accumulate = {parts}, found "
                f"{self.config.batch_size}"
            )
        workers = self.config.workers
        loader = iter(DataLoader(
            self.samples, batch_sampler=_Shares(self.iteration, self.config, self.processes), num_workers=workers,
            pin_memory=self.device.type == "cuda", worker_init_fn=ignore_stop_signals,
            prefetch_factor=4 if workers else None,
        ))
        try:
            yield from loader
        finally:            # also after an error, whose traceback would keep the workers, deaf to SIGTERM, for ever
            getattr(loader, "_shutdown_workers", lambda: None)()

    def _validate(self, log: TrainingLog) -> None:
        if self.processes.first and self.validate:
            self.network.eval()
            scores = self.validate(self.network)
            self.network.train()
            log.validation(scores, self.iteration)
            if scores["J&F"] > self.best:
                self.best = scores["J&F"]
                save_network(self.output / "best.pth", self.network)
        self.processes.wait()
        log.waited()

    def _stop_on(self, what: str, value: float, indices: Tensor) -> None:
        last = self.checkpoints[-1] if self.checkpoints else "none yet"
        raise LossError(
            f"{what} is {value} at iteration {self.iteration}, samples {indices.tolist()}; the last checkpoint is "
            f"untouched: {last}; try a smaller learning rate or precision fp32"
        )


class _Shares(Sampler):
    """The sample numbers of this process's share of each batch, from iteration `start` on."""

    def __init__(self, start: int, config: TrainingConfig, processes: Processes) -> None:
        self.start, self.config, self.processes = start, config, processes

    def __len__(self) -> int:
        return self.config.iterations - self.start

    def __iter__(self) -> Iterator[range]:
        share = self.config.batch_size // self.processes.count
        for iteration in range(self.start, self.config.iterations):
            first = iteration * self.config.batch_size + self.processes.rank * share
            yield range(first, first + share)


def _name(iteration: int) -> str:
    return f"iteration_{iteration:07d}.pth"
