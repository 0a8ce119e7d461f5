"""Ablate the memory bank: policies x capacities x intervals x top-k x index over DAVIS, one table, one figure.

    python scripts/ablate.py --davis-root DAVIS --weights stcn.pth --output runs/ablation \\
        --memory every_k first_and_latest lfu fifo lru --memory-frames 1 2 4 8

Every combination of the lists is a setting. All settings see a sequence's frames in lockstep: each frame is read,
padded and key-encoded once for all of them. Combinations that make no difference run once: banks without a capacity by
default (every_k, first_and_latest) are not multiplied by --memory-frames, --index multiplies only lfu and banks derived
from it, and --memory-every does not multiply first_and_latest. Combinations that contradict themselves are left out,
with a note.

Writes OUTPUT/ablation.csv (a row per sequence and setting, and "(mean)" of each setting: the numbers of
eval_davis.py), ablation.md, score_over_capacity.png, speed_over_score.png and run.json. FPS is that of a single run:
frames over the seconds of encoding them and of the setting's own steps. If the same command is run again, possibly
with more settings or sequences, it computes what is missing. The files show the settings and sequences of the last
command.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inference.ablation.ablation_report import cost, describe, emphasised, runs_of, write_ablation
from inference.ablation.lockstep import Ablation
from inference.ablation.records import COMMAND
from inference.ablation.settings import settings_of
from inference.commands import LESS_MEMORY, command
from inference.data_options import DavisOptions
from inference.device import device_of
from inference.memory import MemoryOptions
from inference.options import Options, option, recorded
from inference.report.tables import bank_table
from inference.run.folder import RunFolder
from inference.runtime import RuntimeOptions, load_for
from inference.views import ViewOptions
from model.checkpoint import weights_digest
from scripts.arguments import CommandParser


@dataclass(frozen=True)
class AblationOptions(Options):
    """The weights, and where the results go."""

    weights: Path = option(
        help="network: own or published STCN layout, or compact, which comes with the repository", metavar="FILE",
        recorded=False)
    output: Path = option(help="folder for table, figures and records", metavar="DIR", recorded=False)
    write_masks: bool = option(False, "also write OUTPUT/<setting>/<sequence>/00000.png", recorded=False)
    overwrite: bool = option(False, "start over if OUTPUT holds an ablation with other settings", recorded=False)


@command(less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    data, run = options[DavisOptions], options[AblationOptions]
    runtime, views = options[RuntimeOptions].resolved(), options[ViewOptions]
    sequences = data.read()
    settings, notes = settings_of(options.lists(MemoryOptions))
    for note in notes:
        print(f"note: {note}")
    folder = ablation_folder(run, runtime, [runtime, views, data])
    ablation = Ablation(settings, load_for(runtime, run.weights), runtime, views, folder, run.write_masks)
    records = ablation.run(sequences, run.overwrite)
    runs = runs_of(settings, records, folder)
    write_ablation(folder, runs, records)
    print(emphasised(bank_table(runs, None)).markdown())
    print(describe(cost(records)))


def ablation_folder(run: AblationOptions, runtime: RuntimeOptions, groups: list[Options]) -> RunFolder:
    """The folder of an ablation; its settings are those that all memory options share."""
    settings: dict[str, Any] = {"command": COMMAND, "weights_sha256": weights_digest(run.weights)}
    about = {"weights": str(run.weights), "device": str(device_of(runtime.device)), "processes": 1}
    return RunFolder(run.output, settings | recorded(*groups), about)


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    for kind in (DavisOptions, AblationOptions, RuntimeOptions, ViewOptions):
        parser.add_options(kind)
    parser.add_options(
        MemoryOptions, title="memory banks: every combination is a setting", lists=True,
        memory=("every_k", "first_and_latest", "lfu"), memory_frames=(1, 2, 4, 8), memory_every=(5,), top_k=(20,),
        index=("topk",), seed=(0,),
    )
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
