"""The training loop: optimizer, precision, distribution, validation, resume.

Iteration t trains on the samples t*B to (t+1)*B of a data set whose sample i depends on (seed, i) alone, and takes
its random numbers from (seed, t). So a run that was killed and resumed equals, on the CPU, one that was never stopped,
bit for bit, and several processes share each batch.
"""

import math
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from model.checkpoint import load_state, save_network
from model.errors import CheckpointError, LossError
from model.fast import in_layout
from model.network import STCN
from model.normalization import normalize
from model.objective import ObjectiveConfig, clip_loss
from model.precision import PRECISIONS, float32_products, resolve_precision
from model.processes import Processes
from model.training.average import AveragedNetwork
from model.training.checkpoints import Checkpoints, read_checkpoint
from model.training.config import TrainingConfig
from model.training.loading import load_batches
from model.training.log import TrainingLog
from model.training.signals import StopSignals
from model.training.validation import Validation
from model.training.values import collect_means, curves


class ClipObjective(nn.Module):
    """clip_loss as a module, so that it can be distributed and compiled."""

    def __init__(self, network: STCN, config: ObjectiveConfig) -> None:
        super().__init__()
        self.network, self.config = network, config

    def forward(
        self, frames: Tensor, labels: Tensor, num_objects: Tensor, iteration: int, logged: bool
    ) -> dict[str, Any]:
        return clip_loss(self.network, frames, labels, num_objects, iteration, self.config, logged)


class Trainer:
    """Trains `network` on `samples` and leaves checkpoints and a TensorBoard log under `output`.

    Args:
        samples: map-style data set whose item i is sample i (see `dataset.clips.Clips`).
        description: the resolved configuration, stored in every checkpoint. Its precision becomes the one trained in:
        "auto" is that of the checkpoint resumed, or else decided by the device.
        validation: decides which weights are kept as `best.pth`; None: no validation.
    """

    def __init__(
        self, network: STCN, samples: Dataset[dict[str, Tensor | int]], config: TrainingConfig,
        objective: ObjectiveConfig, output: Path, device: torch.device, description: dict[str, Any],
        validation: Validation | None = None,
    ) -> None:
        self.processes = Processes.of_training(device)
        self.network = in_layout(network.to(device), torch.channels_last).train()
        self.samples, self.config, self.output, self.device = samples, config, output, device
        self.description, self.validation = description, validation
        self._compute_in(config.precision)
        self.checkpoints = Checkpoints(output, config.keep_checkpoints)
        self.iteration, self.best = 0, -math.inf              # finished iterations; best J&F so far
        self.average = AveragedNetwork(self.network, config.ema) if config.ema else None
        self.result = self.average.network if self.average else self.network      # what is validated and saved
        module = ClipObjective(self.network, objective)
        module = torch.compile(module) if config.compile else module
        # Buffers are the running statistics of batch norms. Frozen ones never change; a training step does not read
        # the others, and those of the first process are the ones that are validated and saved.
        self.objective = (
            DistributedDataParallel(module, broadcast_buffers=False) if self.processes.count > 1 else module
        )
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            self.network.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )

    def run(self) -> Path:
        """Train to the end; returns the path of the final weights.

        SIGINT and SIGTERM save a checkpoint and raise KeyboardInterrupt. A loss that is not finite raises LossError.
        """
        config = self.config
        log = TrainingLog(
            self.output / "log", self.iteration, config.iterations, self.output.name, self.processes.first
        )
        batches = load_batches(self.samples, config, self.processes, self.iteration, self.device)
        with StopSignals() as signals, log, closing(batches):
            for batch in batches:
                log.waited()
                logged = config.logs(self.iteration)
                means = self._step(batch, log, signals)
                stopping = means.pop("stop") > 0
                self.iteration += 1
                log.step(config.batch_size)
                if logged:
                    log.scalars(means, self.iteration, self.device)
                if self.validation and self.validation.due(self.iteration):
                    self._validate(self.validation, log)
                if self.iteration % config.save_every == 0 or stopping or self.iteration == config.iterations:
                    self.save()
                if stopping:
                    raise KeyboardInterrupt(
                        f"{signals.received or 'signal to another process'}: stopped after iteration {self.iteration}, "
                        f"saved {self.checkpoints.newest}; resume with --resume auto"
                    )
            final = self.output / "network.pth"            # a signal that arrives now changes nothing
            if self.processes.first:
                save_network(final, self.result)
        self.processes.wait()
        return final

    def _step(self, batch: dict[str, Tensor], log: TrainingLog, signals: StopSignals) -> dict[str, float]:
        """One optimizer step, in which the host waits for the device once.

        Returns means over processes: "total", "gradient_norm", "stop" (above 0 if any process received a signal) and
        "learning_rate"; in an iteration that is logged, all curves.
        """
        config, rate = self.config, self.config.learning_rate(self.iteration)
        stream = self.iteration * self.processes.count + self.processes.rank
        torch.manual_seed(config.seed * 1_000_003 + stream)      # regularizers draw from (seed, iteration, process)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        parts = [dict(zip(batch, values, strict=True)) for values in zip(
            *(tensor.chunk(config.accumulate) for tensor in batch.values()), strict=True
        )]
        values = [self._forward_backward(part, part is parts[-1], len(parts), log) for part in parts]
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.max_gradient_norm or math.inf)
        means = collect_means(values, norm, signals.received is not None, self.processes)       # the host waits
        if not math.isfinite(means["total"]):
            own = torch.stack([value["total"] for value in values]).mean().item()
            self._stop_on("loss", own, batch["index"])
        if not self.scaler.is_enabled() and not math.isfinite(means["gradient_norm"]):   # the scaler skips such steps
            self._stop_on("gradient norm", means["gradient_norm"], batch["index"])
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.iteration)
        return {**means, "learning_rate": rate}

    def _forward_backward(
        self, batch: dict[str, Tensor], last: bool, parts: int, log: TrainingLog
    ) -> dict[str, Tensor]:
        """Accumulate the gradients of a part of the batch; processes exchange theirs after the last one.

        Returns numbers on the device: "total", and all curves of the part in an iteration that is logged.
        """
        logged = self.config.logs(self.iteration)
        frames = normalize(batch["frames"].to(self.device, non_blocking=True))
        labels = batch["labels"].to(self.device, non_blocking=True).long()
        module = self.objective
        alone = module.no_sync() if isinstance(module, DistributedDataParallel) and not last else nullcontext()
        precision = PRECISIONS[self.precision]
        with alone, float32_products(self.precision):
            with torch.autocast(self.device.type, precision, enabled=precision is not torch.float32):
                outcome = self.objective(frames, labels, batch["num_objects"], self.iteration, logged)
            self.scaler.scale(outcome["total"] / parts).backward()
        if last and self.iteration % self.config.picture_every == 0:
            masks = outcome["masks"][0, :, : int(batch["num_objects"][0])].detach()
            log.pictures(frames[0], labels[0], masks, self.iteration)
        return curves(outcome, labels, batch) if logged else {"total": outcome["total"].detach()}

    def _compute_in(self, precision: str) -> None:
        """Set the precision, and say so in the description."""
        self.precision = resolve_precision(precision, self.device)
        training = self.description.get("training", {}) | {"precision": self.precision}
        self.description = self.description | {"training": training}
        self.scaler = GradScaler(self.device.type, enabled=self.precision == "fp16")

    def save(self) -> None:
        """Write a checkpoint to resume from. Of averaged weights, the trained ones are in "training"."""
        if self.processes.first:
            trained = {"network": self.network.state_dict()} if self.average else {}
            self.checkpoints.write(self.result, {
                "iteration": self.iteration, "optimizer": self.optimizer.state_dict(), "best": self.best,
                "scaler": self.scaler.state_dict(), "config": self.description, **trained,
            })
        self.processes.wait()

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint.

        Raises CheckpointError if the file is no usable checkpoint of this network, or if `output` holds later
        checkpoints: those of two runs would be mixed.
        """
        self._load(path)
        if later := self.checkpoints.later_than(self.iteration):
            raise CheckpointError(
                f"{path}: is of iteration {self.iteration}, but {later[-1]} is later; choose another --output"
            )

    def resume_newest(self) -> Path | None:
        """Continue from the newest checkpoint that loads, if any; a warning names each damaged one."""
        for path in reversed(self.checkpoints.paths):
            try:
                self._load(path)
                return path
            except CheckpointError as error:
                print(f"warning: {error}; trying the one before", file=sys.stderr)
        return None

    def _load(self, path: Path) -> None:
        content = read_checkpoint(path)
        training = content["training"]
        if self.config.precision == "auto":
            self._compute_in(training.get("config", {}).get("training", {}).get("precision", "auto"))
        load_state(self.network, training.get("network", content["network"]), str(path))
        if self.average:                                    # a checkpoint without one: it starts at the weights
            load_state(self.average.network, content["network"], str(path))
        self.optimizer.load_state_dict(training["optimizer"])
        if training["scaler"] and self.scaler.is_enabled():
            self.scaler.load_state_dict(training["scaler"])
        self.iteration, self.best = training["iteration"], training["best"]

    def _validate(self, validation: Validation, log: TrainingLog) -> None:
        if self.processes.first:
            self.result.eval()
            scores = validation.score(self.result)
            self.network.train()
            log.validation(scores, self.iteration)
            if scores["J&F"] > self.best:
                self.best = scores["J&F"]
                save_network(self.output / "best.pth", self.result)
        self.processes.wait()
        log.waited()

    def _stop_on(self, what: str, value: float, indices: Tensor) -> None:
        raise LossError(
            f"{what} is {value} at iteration {self.iteration}, samples {indices.tolist()}; the last checkpoint is "
            f"untouched: {self.checkpoints.newest or 'none yet'}; try a smaller learning rate or precision fp32"
        )
