"""What every evaluation shares: where its results go, its segmenter, and the record of its settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.device import device_of
from inference.memory import MemoryOptions, make_bank
from inference.options import Options, option, recorded
from inference.run.folder import RunFolder
from inference.runtime import RuntimeOptions
from inference.segmenter import VideoSegmenter
from inference.views import ViewOptions, ViewSegmenter
from model.checkpoint import weights_digest
from model.network import STCN


@dataclass(frozen=True)
class RunOptions(Options):
    """The weights, and where the results go."""

    weights: Path = option(
        help="network: own or published STCN layout, or compact, which comes with the repository", metavar="FILE",
        recorded=False)
    output: Path = option(help="run folder", metavar="DIR", recorded=False)
    overlays: bool = option(False, "also write OUTPUT/overlays/<sequence>/<frame>.jpg", recorded=False)
    telemetry: bool = option(
        False, "also record in OUTPUT/telemetry what the memory bank holds at every frame; scripts/explain.py draws it",
        recorded=False)
    overwrite: bool = option(False, "start over if OUTPUT holds a run with other settings", recorded=False)
    no_score: bool = option(False, "do not score the masks", recorded=False)


def make_segmenter(
    network: STCN, runtime: RuntimeOptions, views: ViewOptions, memory: MemoryOptions,
    kind: type[VideoSegmenter] = VideoSegmenter, **more: Any,
) -> ViewSegmenter:
    """A segmenter with a bank of its own for each view; `more` goes to `kind`. network: of `load_for`."""
    return ViewSegmenter([
        kind(network, make_bank(memory), memory.memory_every, runtime.precision, decode=runtime.decode,
             objects_at_once=runtime.objects_at_once, float_frames=views.resize == "stcn", **more)
        for _ in views.views
    ], views.views)


def run_settings(command: str, weights: Path, groups: Sequence[Options]) -> dict[str, Any]:
    """The settings in run.json: what the masks depend on. A run resumes only if all of them are the same."""
    settings = recorded(*groups)
    memory = next(group for group in groups if isinstance(group, MemoryOptions))
    settings["memory_frames"] = make_bank(memory).frames       # a default is the same as its value written out
    return {"command": command, "weights_sha256": weights_digest(weights), **settings}


def run_folder(
    command: str, run: RunOptions, runtime: RuntimeOptions, groups: Sequence[Options], masks: str = "",
    processes: int = 1,
) -> RunFolder:
    """The folder of a run. groups: all further options that the masks depend on. masks: subfolder for them."""
    about = {"weights": str(run.weights), "device": str(device_of(runtime.device)), "processes": processes}
    settings = run_settings(command, run.weights, [runtime, *groups])
    return RunFolder(run.output, settings, about, masks, run.overlays, run.telemetry)
