"""How long a stage trains, and how: the options of `model.training.trainer`."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Literal

from model.config import ConfigError, read_yaml

# what a run may go on with otherwise than it began: how steps are computed and written down, not what is learned
_FREE = {f"training.{name}" for name in (
    "accumulate", "precision", "compile", "workers", "log_every", "picture_every", "save_every", "keep_checkpoints",
)}
_PLACES = ("root", "davis_root")       # data may have moved
_SHOWN = 4      # differing keys in a message


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

    def __post_init__(self) -> None:
        for name in ("iterations", "batch_size", "accumulate", "log_every", "picture_every", "save_every",
                     "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name}: expected at least 1, found {getattr(self, name)}")
        for name in ("seed", "workers", "warmup"):
            if getattr(self, name) < 0:
                raise ConfigError(f"training.{name}: expected at least 0, found {getattr(self, name)}")

    def learning_rate(self, iteration: int) -> float:
        """Learning rate of `iteration`, a pure function of it."""
        rate = self.lr
        if iteration < self.warmup:
            rate *= (iteration + 1) / self.warmup
        if self.schedule == "step":
            return rate * (self.lr_drop if iteration >= self.lr_drop_at else 1)
        return rate * (1 - (1 - self.lr_floor) * iteration / self.iterations)


def check_same_run(config: dict, path: Path) -> None:
    """Raise ConfigError where `config` is not that of the run recorded at `path`, its config.yaml, if there is any.

    Data may have moved, options of how a step is computed and recorded may differ, and the run may be made longer.
    """
    earlier = _flat(read_yaml(path)) if path.is_file() else {}
    differing = {key: value for key, value in _flat(config).items()
                 if key in earlier and value != earlier[key] and key not in _FREE
                 and not key.endswith(_PLACES)}
    if differing.get("training.iterations", 0) > earlier.get("training.iterations", 0):
        del differing["training.iterations"]
    if differing:
        found = ", ".join(f"{key}={shorten(str(value), 40)} (there {shorten(str(earlier[key]), 40)})"
                          for key, value in [*differing.items()][:_SHOWN])
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ConfigError(
            f"{path}: expected the settings of the run to go on with, found {found}{more}; give those, or choose "
            f"another --output (training.iterations may be raised, data may have moved, and {', '.join(sorted(_FREE))} "
            "may differ)"
        )


def _flat(mapping: dict, prefix: str = "") -> dict:
    """Nested mappings, and lists of them, as one of `section.key`."""
    flat: dict[str, object] = {}
    for key, value in mapping.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = dict(enumerate(value))
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
