"""How long a stage trains, and how: the options of `model.training.trainer`, and which of them a resume may change."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from textwrap import shorten
from typing import Any, Literal, TypeVar

from model.config import read_yaml
from model.errors import ConfigError

T = TypeVar("T")
OnResume = Literal["equal", "may grow", "may differ"]

_PLACES = ("root", "davis_root")       # keys of folders: data may have moved
_SHOWN = 4                             # differing keys in a message


def option(default: T, at_least: int | None = None, on_resume: OnResume = "equal") -> T:
    """A field of TrainingConfig.

    at_least: the smallest value allowed. on_resume: what a resumed run may do to it. "may differ" is for options of
    how a step is computed and recorded, not of what is learned.
    """
    return field(default=default, metadata={"at_least": at_least, "on_resume": on_resume})


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how; the defaults are the thesis's static stage."""

    iterations: int = option(300_000, at_least=1, on_resume="may grow")
    batch_size: int = option(16, at_least=1)      # samples an iteration, all processes and accumulation steps together
    accumulate: int = option(1, at_least=1, on_resume="may differ")      # forward-backward passes an iteration
    optimizer: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-7
    schedule: Literal["step", "linear"] = "step"
    lr_drop_at: int = 150_000                     # "step": lr times lr_drop from here on
    lr_drop: float = 0.1
    warmup: int = option(0, at_least=0)           # iterations from 0 to lr
    lr_floor: float = 0.02                        # "linear": share of lr left at the end
    max_gradient_norm: float | None = None
    ema: float = 0.0                              # decay of a moving average of the weights, which is saved; 0: none
    precision: Literal["fp32", "bf16", "fp16", "tf32", "auto"] = option("auto", on_resume="may differ")
    compile: bool = option(False, on_resume="may differ")                # torch.compile the loss and the network
    seed: int = option(0, at_least=0)
    # loading processes of each training process; None: as many as there are cores for (loading.default_workers)
    workers: int | None = option(None, at_least=0, on_resume="may differ")
    log_every: int = option(20, at_least=1, on_resume="may differ")
    picture_every: int = option(500, at_least=1, on_resume="may differ")
    save_every: int = option(1000, at_least=1, on_resume="may differ")
    keep_checkpoints: int = option(3, at_least=1, on_resume="may differ")
    # start the encoders, or the key encoder alone ("key"), from ImageNet weights if no weights are given
    pretrained: Literal[True, False, "key"] = True
    # file of EfficientNet-Lite0's ImageNet weights; None: the one in the installed package
    imagenet: Path | None = field(default=None, metadata={"on_resume": "may differ"})
    extra_channel: Literal["zeros", "orthogonal"] = "zeros"      # how a new mask channel starts

    def __post_init__(self) -> None:
        for known in fields(self):
            least, value = known.metadata.get("at_least"), getattr(self, known.name)
            if least is not None and value is not None and value < least:
                raise ConfigError(f"training.{known.name}: expected at least {least}, found {value}")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"training.ema: expected a decay of at least 0 and below 1, found {self.ema}; 0 is off")

    def logs(self, iteration: int) -> bool:
        """Whether the curves get a point for `iteration`, counted from 0."""
        finished = iteration + 1
        return finished % self.log_every == 0 or finished == self.iterations

    def learning_rate(self, iteration: int) -> float:
        """Learning rate of `iteration`, a pure function of it."""
        rate = self.lr
        if iteration < self.warmup:
            rate *= (iteration + 1) / self.warmup
        if self.schedule == "step":
            return rate * (self.lr_drop if iteration >= self.lr_drop_at else 1)
        return rate * (1 - (1 - self.lr_floor) * iteration / self.iterations)


def check_same_run(config: dict[str, Any], path: Path) -> None:
    """Raise ConfigError if `config` is not that of the run recorded at `path`, its config.yaml, if that exists.

    Data may have moved, and options may change as their fields in TrainingConfig say.
    """
    rules = {f"training.{known.name}": known.metadata.get("on_resume", "equal") for known in fields(TrainingConfig)}
    free = [key for key, rule in rules.items() if rule == "may differ"]
    growing = [key for key, rule in rules.items() if rule == "may grow"]
    earlier = _flat(read_yaml(path)) if path.is_file() else {}
    differing = {
        key: value for key, value in _flat(config).items()
        if key in earlier and value != earlier[key] and key not in free and not key.endswith(_PLACES)
        and not (key in growing and value > earlier[key])
    }
    if differing:
        found = ", ".join(f"{key}={shorten(str(value), 40)} instead of {shorten(str(earlier[key]), 40)}"
                          for key, value in [*differing.items()][:_SHOWN])
        more = f", and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ConfigError(
            f"{path}: expected the settings of the run to resume, found {found}{more}; use its settings, or choose "
            f"another --output ({', '.join(growing)} may be raised, data may have moved, and {', '.join(sorted(free))} "
            "may differ)"
        )


def _flat(mapping: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of mappings, as one mapping of `section.key` to values."""
    flat: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = dict(enumerate(value))
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
