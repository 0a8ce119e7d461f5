"""The training loop: optimiser, precision, logging, checkpoints, resume.

Iteration t trains on samples t*B .. (t+1)*B of a data set whose sample i depends on (seed, i) alone, and
draws its own random numbers from (seed, t): a run that was killed and resumed equals one that was not, bit
for bit on the CPU.
"""

import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model.checkpoint import CheckpointError, load_state, read_file, save_network
from model.losses import LossError, intersection_over_union
from model.network import STCN, normalise
from model.objective import ObjectiveConfig, clip_loss

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how; the defaults are the thesis's static stage."""

    iterations: int = 300_000
    batch_size: int = 16
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
    seed: int = 0
    workers: int = 2
    log_every: int = 20
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


class Trainer:
    """Trains `network` on `samples` and leaves checkpoints and a TensorBoard log under `output`.

    Args:
        samples: map-style data set whose item i is sample i (see `dataset.clips.Clips`).
        description: the resolved configuration, stored in every checkpoint.
    """

    def __init__(
        self, network: STCN, samples: Dataset, config: TrainingConfig, objective: ObjectiveConfig, output: Path,
        device: torch.device, description: dict,
    ) -> None:
        self.network = network.to(device, memory_format=torch.channels_last).train()
        self.samples, self.config, self.objective = samples, config, objective
        self.output, self.device, self.description = output, device, description
        self.iteration = 0                                   # finished iterations
        kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        self.optimizer = kind(
            self.network.parameters(), lr=config.lr, betas=config.betas, weight_decay=config.weight_decay,
            fused=device.type == "cuda",
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._stop_signal: str | None = None

    @property
    def checkpoints(self) -> list[Path]:
        """Checkpoints of this run, oldest first."""
        return sorted((self.output / "checkpoints").glob("iteration_*.pth"))

    def run(self) -> Path:
        """Train to the end; returns the path of the final weights.

        SIGINT and SIGTERM save a checkpoint and raise KeyboardInterrupt; a loss that is not finite, LossError.
        """
        config = self.config
        log = SummaryWriter(str(self.output / "log"), purge_step=self.iteration)
        bar = tqdm(
            total=config.iterations, initial=self.iteration, desc=self.output.name, unit="it", dynamic_ncols=True,
            mininterval=1.0, smoothing=0.05,
        )
        with log, bar, self._stop_on_signals():
            for batch in self._batches():
                statistics = self._step(batch)
                self.iteration += 1
                bar.update()
                if self.iteration % config.log_every == 0 or self.iteration == config.iterations:
                    self._log(log, bar, statistics)
                stopping = self._stop_signal is not None
                if self.iteration % config.save_every == 0 or stopping:
                    self.save()
                if stopping:
                    raise KeyboardInterrupt(
                        f"{self._stop_signal}: stopped after iteration {self.iteration}, saved "
                        f"{self.checkpoints[-1]}; go on with --resume auto"
                    )
        final = self.output / "network.pth"
        save_network(final, self.network)
        return final

    def _step(self, batch: dict[str, Tensor]) -> dict[str, Tensor | float]:
        """One optimiser step; returns what is worth logging, still on the device."""
        config, started = self.config, time.perf_counter()
        torch.manual_seed(config.seed * 1_000_003 + self.iteration)     # regularisers draw from (seed, iteration)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate(self.iteration)
        frames = normalise(batch["frames"].to(self.device, non_blocking=True))
        labels = batch["labels"].to(self.device, non_blocking=True)
        autocast = torch.autocast(self.device.type, _DTYPES[config.precision], enabled=config.precision != "fp32")
        with autocast:
            outcome = clip_loss(
                self.network, frames, labels, batch["num_objects"].to(self.device), self.iteration, self.objective
            )
        loss = outcome["total"]
        if not math.isfinite(loss.item()):
            self._stop_on(loss.item(), batch["index"])
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), config.max_gradient_norm or math.inf)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        masks, objects = outcome.pop("masks").detach(), batch["num_objects"].tolist()
        overlaps = [
            intersection_over_union(masks[i, 1, :n], torch.stack([labels[i, 2] == 1 + o for o in range(n)]))
            for i, n in enumerate(objects)
        ]
        seconds = time.perf_counter() - started
        scalars = {name: torch.as_tensor(value).detach() for name, value in outcome.items()}
        return {**scalars, "iou_frame_2": torch.stack(overlaps).mean(), "gradient_norm": norm,
                "seconds_per_iteration": seconds}

    def save(self) -> None:
        """Write a checkpoint to resume from, then drop the oldest beyond `keep_checkpoints`."""
        training = {
            "iteration": self.iteration, "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(), "config": self.description,
        }
        save_network(self.output / "checkpoints" / f"iteration_{self.iteration:07d}.pth", self.network, training)
        for old in self.checkpoints[: -self.config.keep_checkpoints]:
            old.unlink()

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of this very run; raises CheckpointError for any other file."""
        content = read_file(path)
        training = content.get("training")
        if training is None:
            raise CheckpointError(f"{path}: expected a training checkpoint, found weights alone; use --init-weights")
        load_state(self.network, content["network"], str(path))
        self.optimizer.load_state_dict(training["optimizer"])
        self.scaler.load_state_dict(training["scaler"])
        self.iteration = training["iteration"]

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        batch, total = self.config.batch_size, self.config.iterations
        numbers = [list(range(t * batch, (t + 1) * batch)) for t in range(self.iteration, total)]
        workers = self.config.workers
        yield from DataLoader(
            self.samples, batch_sampler=numbers, num_workers=workers, pin_memory=self.device.type == "cuda",
            persistent_workers=False, worker_init_fn=_single_thread, prefetch_factor=4 if workers else None,
        )

    def _log(self, log: SummaryWriter, bar: tqdm, statistics: dict[str, Tensor | float]) -> None:
        values = {name: float(value) for name, value in statistics.items()}
        values["learning_rate"] = self.config.learning_rate(self.iteration - 1)
        for name, value in values.items():
            log.add_scalar(f"train/{name}", value, self.iteration)
        bar.set_postfix(loss=f"{values['total']:.3f}", IoU=f"{values['iou_frame_2']:.2f}")

    def _stop_on(self, loss: float, indices: Tensor) -> None:
        last = self.checkpoints[-1] if self.checkpoints else "none yet"
        raise LossError(
            f"loss is {loss} at iteration {self.iteration}, samples {indices.tolist()}; the last checkpoint is "
            f"untouched: {last}; try a smaller learning rate or precision fp32"
        )

    def _stop_on_signals(self) -> "_Signals":
        return _Signals(lambda name: setattr(self, "_stop_signal", name))


class _Signals:
    """While active, SIGINT and SIGTERM only tell `notify`; a second one acts as usual."""

    def __init__(self, notify) -> None:
        self.notify = notify

    def __enter__(self) -> "_Signals":
        self.previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in self.previous:
            signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _frame: object) -> None:
        self.notify(signal.Signals(number).name)
        signal.signal(number, self.previous[number])


def _single_thread(_worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)      # Ctrl-C reaches the whole group; the main process decides
