"""What the commands share: plain errors, the device, the memory flags."""

import argparse
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import yaml

from dataset.errors import DatasetError
from inference.memory import INDICES, POLICIES, MemoryBank, MemoryConfigError, build_memory
from inference.runner import RunError
from inference.segmenter import PRECISIONS
from model import CheckpointError, ConfigError, LossError

USER_ERRORS = (DatasetError, CheckpointError, ConfigError, LossError, MemoryConfigError, RunError, OSError)
MEMORY_FLAGS = ("memory", "memory_frames", "memory_every", "top_k", "index", "include_last", "protect_first")


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Bad input ends a command with one line on stderr and exit status 2; a signal with 130."""
    @functools.wraps(function)
    def run(*arguments: object) -> None:
        try:
            function(*arguments)
        except USER_ERRORS as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(2) from None
        except KeyboardInterrupt as interrupt:
            print(f"{interrupt}" or "interrupted; run the same command again to go on", file=sys.stderr)
            raise SystemExit(130) from None
    return run


def device_of(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:n -> a device that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"--device {name}: expected auto, cpu, cuda or cuda:n") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"--device {name}: found {torch.cuda.device_count()} CUDA devices; use --device cpu")
    return device


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """--weights, --device, --precision."""
    parser.add_argument("--weights", type=Path, required=True, help="network: own or published STCN layout")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n (default: auto)")
    parser.add_argument("--precision", choices=list(PRECISIONS), default="fp32", help="of the network (default: fp32)")


def add_memory_flags(parser: argparse.ArgumentParser) -> None:
    """The memory bank's options."""
    flags = parser.add_argument_group("memory bank")
    flags.add_argument("--memory", choices=list(POLICIES), default="lfu", help="which bank (default: lfu)")
    flags.add_argument("--memory-frames", type=int, metavar="N", help="capacity in frames, a hard bound "
                       "(default: 2 for lfu, unbounded for the others)")
    flags.add_argument("--memory-every", type=int, default=5, metavar="K", help="store every K-th frame (default: 5)")
    flags.add_argument("--top-k", type=int, default=20, metavar="K", help="entries a query cell reads (default: 20)")
    flags.add_argument("--index", choices=INDICES, default="topk", help="what lfu counts: membership in the top-k, "
                       "or softmax weight (default: topk)")
    flags.add_argument("--include-last", action="store_true", help="hold the previous frame too, until the next")
    flags.add_argument("--protect-first", action="store_true", help="never evict the first frame")


def memory_from(options: argparse.Namespace) -> MemoryBank:
    """The bank that the memory flags describe."""
    if options.memory_every < 1:
        raise MemoryConfigError(f"--memory-every {options.memory_every}: expected at least 1")
    return build_memory(
        options.memory, frames=options.memory_frames, top_k=options.top_k, index=options.index,
        include_last=options.include_last, protect_first=options.protect_first,
    )


def apply_config(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """Parse, taking the defaults of flags from the YAML of --config; flags given on the command line win."""
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--config", type=Path)
    path = early.parse_known_args(arguments)[0].config
    if path is not None:
        try:
            defaults = yaml.safe_load(path.read_text()) or {}
        except yaml.YAMLError as error:
            raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
        known = {action.dest for action in parser._actions}
        for key in defaults:
            if key.replace("-", "_") not in known:
                raise ConfigError(f"{path}: unknown key '{key}'; keys are flags without their dashes")
        parser.set_defaults(**{key.replace("-", "_"): value for key, value in defaults.items()})
    return parser.parse_args(arguments)
