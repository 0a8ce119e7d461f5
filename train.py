"""Train a network: one stage, described by one YAML file.

    python train.py --config configs/static.yaml --output runs/static
    python train.py --config configs/video.yaml --init-weights runs/static/network.pth --output runs/video

Any value can be set from the command line (`--set training.lr=2e-5 data.crop=256`). A run that was stopped
resumes with `--resume auto`; its samples and its result are those of a run that was never stopped. On several GPUs:

    torchrun --nproc-per-node 4 train.py --config configs/static.yaml --output runs/static
"""

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path

import torch
import yaml

from dataset.clips import ClipConfig, Clips
from dataset.files import write_text
from inference.commands import command
from inference.device import DEVICES, device_of
from inference.validation import ValidationConfig, make_validation
from model import STCN, ConfigError, NetworkConfig
from model.checkpoint import load_state, read_weights
from model.config import assign, from_mapping, read_yaml, to_mapping
from model.objective import ObjectiveConfig
from model.training.config import TrainingConfig, check_same_run
from model.training.trainer import Trainer
from model.training.validation import Validation
from scripts.arguments import CommandParser


@dataclass(frozen=True)
class RunConfig:
    """One training stage: what a YAML file of `configs/` holds."""

    data: ClipConfig
    network: NetworkConfig = field(default_factory=NetworkConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    validation: ValidationConfig | None = None


@command(
    again="run the same command again with --resume auto",
    less="training.precision=bf16, more training.accumulate, a smaller data.crop or training.batch_size take less",
)
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    config = read_config(options.config, options.set)
    output = options.output or Path("runs") / options.config.stem
    samples = Clips(config.data, config.training.seed, config.training.batch_size, config.training.iterations)
    given = config.validation
    validation = Validation(make_validation(given), given.every) if given else None
    torch.manual_seed(config.training.seed)
    network = build_network(config, options.init_weights)          # after the data: it may download weights
    device, description = device_of(options.device), to_mapping(config)
    trainer = Trainer(network, samples, config.training, config.objective, output, device, description, validation)
    resume(trainer, options.resume)
    if trainer.processes.first:
        output.mkdir(parents=True, exist_ok=True)
        write_text(output / "config.yaml", yaml.safe_dump(trainer.description, sort_keys=False))
        size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        rows, where = len(samples.rows), f"{device} in {trainer.precision}"
        print(f"{size:.1f} million parameters, {rows} clips an epoch, {where}, to {output}")
    final = trainer.run()
    if trainer.processes.first:
        print(f"wrote {final}")
    trainer.processes.close()


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML of the stage, such as configs/static.yaml")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
                        help="override values of the YAML; may be given several times")
    parser.add_argument("--init-weights", type=Path, help="start from these weights: own or published STCN layout; "
                        "a network of one mask channel is widened for the video stage")
    parser.add_argument("--resume", metavar="auto|FILE", help="resume from the newest checkpoint in --output or a file")
    parser.add_argument("--output", type=Path, help="run folder (default: runs/<name of the YAML>)")
    parser.add_argument("--device", default="auto", help=f"{DEVICES} (default: auto)")
    return parser


def read_config(path: Path, assignments: list[str]) -> RunConfig:
    mapping = read_yaml(path)
    for assignment in assignments:
        assign(mapping, assignment)
    return from_mapping(RunConfig, mapping, path.name)


def build_network(config: RunConfig, init_weights: Path | None) -> STCN:
    network = STCN(config.network)
    if init_weights:
        _, state = read_weights(init_weights)
        load_state(network, state, str(init_weights), config.training.extra_channel)
    elif config.training.pretrained:
        network.load_imagenet(config.training.imagenet, key_only=config.training.pretrained == "key")
    return network


def resume(trainer: Trainer, wanted: str | None) -> None:
    """Resume from the newest checkpoint ("auto"; none is no error) or from the file `wanted`."""
    if wanted is None:
        if trainer.checkpoints.newest:
            raise ConfigError(
                f"{trainer.output}: holds the checkpoints of an earlier run; resume with --resume auto, or choose "
                "another --output"
            )
    elif wanted != "auto":
        trainer.resume(Path(wanted))
    elif trainer.checkpoints.newest:
        check_same_run(trainer.description, trainer.output / "config.yaml")
        if (path := trainer.resume_newest()) is not None:
            print(f"resumed {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
