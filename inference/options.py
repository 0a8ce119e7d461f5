"""Flags of the evaluations, and what they describe."""

import argparse
import difflib
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

from inference.device import device_of
from inference.memory import INDICES, POLICIES, MemoryBank, MemoryConfigError, build_memory
from inference.run.folder import RunFolder
from inference.segmenter import VideoSegmenter
from inference.views import ViewSegmenter, views_of
from model import CheckpointError, ConfigError, load_network
from model.checkpoint import weights_file
from model.config import read_yaml
from model.fast import PRECISIONS, prepare_for_inference


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """What every evaluation has: weights, output, memory bank, views."""
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="network: own or published STCN layout; compact: the "
        "repository's own")
    add("--output", type=Path, required=True, help="run folder")
    add("--sequences", nargs="+", metavar="NAME", help="only these")
    add_network_flags(parser)
    add("--flip", action="store_true", help="average with the mirrored video (twice the time and memory)")
    add("--scales", type=float, nargs="+", default=[1.0], metavar="X", help="average over these scales (default: 1)")
    add("--overlays", action="store_true", help="also write OUTPUT/overlays/<sequence>/<frame>.jpg")
    add("--telemetry", action="store_true", help="also record what the memory bank holds at every frame, in "
        "OUTPUT/telemetry; scripts/explain.py draws it")
    add("--overwrite", action="store_true", help="start anew where OUTPUT holds a run with other settings")
    add("--no-score", action="store_true", help="do not score the masks")
    add_memory_flags(parser)


def add_network_flags(parser: argparse.ArgumentParser) -> None:
    """How the network runs, and the YAML that may say so."""
    add = parser.add_argument
    add("--config", type=Path, help="YAML with values for these flags; flags given here win")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n (default: auto)")
    add("--precision", choices=list(PRECISIONS), default="fp32", help="of the network (default: fp32)")
    add("--decode", choices=("full", "window"), default="full", help="window: decode only where an object can be, "
        "faster and nearly the same masks (default: full)")
    add("--compile", action="store_true", help="compile the network: a minute or more at the first frame of every size "
        "and number of objects, then faster (CUDA graphs on a GPU)")


def add_memory_flags(parser: argparse.ArgumentParser) -> None:
    """The memory bank's options."""
    add = parser.add_argument_group("memory bank").add_argument
    add("--memory", choices=sorted(POLICIES), default="lfu", help="which bank (default: lfu)")
    add("--memory-frames", type=int, metavar="N", help="capacity in frames, a hard bound (default: 2; every_k and "
        "first_and_latest: unbounded)")
    add("--memory-every", type=int, default=5, metavar="K", help="store every K-th frame (default: 5)")
    add("--top-k", type=int, default=20, metavar="K", help="entries a query cell reads (default: 20)")
    add("--index", choices=INDICES, default="topk", help="what lfu counts: membership in the top-k, softmax weight, or "
        "log(1 + membership) per frame (default: topk)")
    add("--include-last", action="store_true", help="hold the previous frame too, until the next")
    add("--protect-first", action="store_true", help="never evict the first frame")
    add("--seed", type=int, default=0, metavar="S", help="for policies that draw (default: 0)")


def memory_from(options: argparse.Namespace) -> MemoryBank:
    """The bank that the memory flags describe."""
    if options.memory_every < 1:
        raise MemoryConfigError(f"--memory-every {options.memory_every}: expected at least 1")
    return build_memory(
        options.memory, frames=options.memory_frames, top_k=options.top_k, index=options.index,
        include_last=options.include_last, protect_first=options.protect_first, seed=options.seed,
    )


def segmenter_maker(options: argparse.Namespace, short_side: int = 0) -> Callable[[], ViewSegmenter]:
    """Check the flags that describe a segmenter, load the weights, and return what makes segmenters."""
    memory_from(options)                                   # contradictory flags are an error before loading
    if min(options.scales) < 0.1 or max(options.scales) > 10:
        raise ConfigError(f"--scales {options.scales}: expected numbers from 0.1 to 10")
    if short_side and short_side < 16:
        raise ConfigError(f"--short-side {short_side}: expected 0, or at least 16 pixels")
    if options.compile and options.decode == "window":
        raise ConfigError("--compile: windows differ at every frame and cannot be compiled; leave out --decode window")
    network = load_network(options.weights, device_of(options.device))
    network = prepare_for_inference(network, options.precision, options.compile)
    views = views_of(short_side, tuple(options.scales), options.flip)

    def make() -> VideoSegmenter:
        return VideoSegmenter(
            network, memory_from(options), options.memory_every, options.precision, decode=options.decode
        )

    return lambda: ViewSegmenter(make, views)


def run_folder(
    options: argparse.Namespace, command_name: str, *more: str, masks: str = "", processes: int = 1,
    telemetry: bool = False,
) -> RunFolder:
    """The run folder that the flags describe; `more`: further flags that the masks depend on."""
    try:
        with open(weights_file(options.weights), "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, IsADirectoryError):
        raise CheckpointError(f"{options.weights}: expected weights, found no such file; check --weights") from None
    names = (
        "precision", "decode", "flip", "scales", "memory", "memory_frames", "memory_every", "top_k", "index",
        "include_last", "protect_first", "seed", "compile", *more,
    )
    values = {key: getattr(options, key) for key in names}
    values["memory_frames"] = memory_from(options).frames       # a default is the same as its value written out
    settings = {
        "command": command_name, "weights_sha256": digest,
        **{key: str(value) if isinstance(value, Path) else value for key, value in values.items()},
    }
    about = {"weights": str(options.weights), "device": str(device_of(options.device)), "processes": processes}
    return RunFolder(options.output, settings, about, masks, options.overlays, telemetry)


def parse_with_config(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line after the flags that the YAML of --config stands for: those given later win."""
    arguments = sys.argv[1:] if arguments is None else arguments
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--config", type=Path)
    path = early.parse_known_args(arguments)[0].config
    flags: list[str] = []
    for key, value in (read_yaml(path) if path else {}).items():
        flag = f"--{key}".replace("_", "-")
        if value is False and f"--no-{flag[2:]}" in parser._option_string_actions:
            flag, value = f"--no-{flag[2:]}", True
        if flag not in parser._option_string_actions:
            nearest = difflib.get_close_matches(flag, parser._option_string_actions, n=1, cutoff=0)[0]
            raise ConfigError(f"{path}: unknown key '{key}'; did you mean '{nearest[2:].replace('-', '_')}'? Keys are "
                              "flags without their dashes")
        if value is not False and value is not None:
            values = value if isinstance(value, list) else [] if value is True else [value]
            flags += [flag, *map(str, values)]
    return parser.parse_args([*flags, *arguments])
