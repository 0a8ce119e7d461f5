"""Ablate the memory bank: policies x capacities x intervals x top-k x index over a data set, one table, one figure.

    python scripts/ablate.py --davis-root DAVIS --weights stcn.pth --output runs/ablation \\
        --memory every_k first_and_latest lfu fifo lru --memory-frames 1 2 4 8
    python scripts/ablate.py --youtube-root YouTube-VOS/valid --all-frames-root YouTube-VOS/valid_all_frames \\
        --weights stcn.pth --output runs/figure11 --memory every_k first_and_latest lfu --zip

Every combination of the lists is a setting. All settings see a sequence's frames in lockstep: each frame is read,
padded and key-encoded once for all of them. Combinations that make no difference run once: banks without a capacity by
default (every_k, first_and_latest) are not multiplied by --memory-frames, --index multiplies only lfu and banks derived
from it, and --memory-every does not multiply first_and_latest. Combinations that contradict themselves are left out,
with a note.

The data are those of eval_davis.py (--davis-root) or of eval_youtube.py (--youtube-root: YouTube-VOS, or any folder of
JPEGImages/ and Annotations/), with the scores, masks and default --short-side of that command. Without ground truth,
speed and memory are measured and masks are written; the server's scores go into scripts/report.py --server-scores.

Writes OUTPUT/ablation.csv (a row per sequence and setting, and "(mean)" of each setting: the numbers of
eval_davis.py or eval_youtube.py), ablation.md, score_over_capacity.png, speed_over_score.png and run.json. FPS is that
of a single run: frames over the seconds of encoding them and of the setting's own steps. If the same command is run
again, possibly with more settings or sequences, it computes what is missing. The files show the settings and sequences
of the last command. Several processes share the sequences, and also the settings if there are fewer sequences than
processes: torchrun --nproc-per-node 2 scripts/ablate.py ...
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inference.ablation.ablation_report import cost, describe, emphasised, runs_of, write_ablation
from inference.ablation.data import AblationData, chosen_data
from inference.ablation.lockstep import Ablation
from inference.ablation.records import COMMAND
from inference.ablation.settings import settings_of
from inference.commands import LESS_MEMORY, command
from inference.data_options import DavisOptions, YouTubeOptions
from inference.device import device_of
from inference.memory import MemoryOptions
from inference.options import Options, option, recorded
from inference.report.tables import bank_table
from inference.run.folder import RunFolder
from inference.run.submission import NOT_SCORED, ResultOptions, write_zip
from inference.runtime import RuntimeOptions, load_for
from inference.views import ViewOptions
from model.checkpoint import weights_digest
from model.processes import Processes
from scripts.arguments import CommandParser


@dataclass(frozen=True)
class AblationOptions(Options):
    """The weights, and where the results go."""

    weights: Path = option(
        help="network: own or published STCN layout, or compact, which comes with the repository", metavar="FILE",
        recorded=False)
    output: Path = option(help="folder for table, figures and records", metavar="DIR", recorded=False)
    write_masks: bool = option(
        False, "also write OUTPUT/<setting>/<sequence>/00000.png, or OUTPUT/<setting>/Annotations/<video>/00000.png",
        recorded=False)
    overwrite: bool = option(False, "start over if OUTPUT holds an ablation with other settings", recorded=False)


@command(less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    run, results = options[AblationOptions], options[ResultOptions]
    runtime = options[RuntimeOptions].resolved()
    data = chosen_data(options[DavisOptions], options[YouTubeOptions], results)
    views, processes = options.of(ViewOptions, short_side=data.short_side), Processes.of_evaluation()
    settings, notes = settings_of(options.lists(MemoryOptions))
    if processes.first:
        print("\n".join(f"note: {note}" for note in notes), end="\n" if notes else "")
    folder = ablation_folder(run, runtime, views, data, processes.count)
    network = load_for(runtime, run.weights)
    ablation = Ablation(settings, network, runtime, views, folder, data, run.write_masks or results.zip)
    records = ablation.run(processes, run.overwrite)
    if not processes.first:
        return
    runs = runs_of(ablation, records)
    write_ablation(ablation, runs, records)
    for each in runs if results.zip else ():
        print(f"wrote {write_zip(each.folder, each.sequences)}")
    if data.truths is None:
        print(NOT_SCORED)
    print(emphasised(bank_table(runs, None)).markdown())
    print(describe(cost(records)))


def ablation_folder(
    run: AblationOptions, runtime: RuntimeOptions, views: ViewOptions, data: AblationData, processes: int
) -> RunFolder:
    """The folder of an ablation; its settings are those that all memory options share."""
    settings: dict[str, Any] = {"command": COMMAND, "weights_sha256": weights_digest(run.weights)}
    about = {"weights": str(run.weights), "device": str(device_of(runtime.device)), "processes": processes}
    return RunFolder(run.output, settings | recorded(runtime, views) | data.settings, about, data.masks)


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    parser.add_options(DavisOptions, title="sequences of DAVIS", davis_root=None)
    parser.add_options(YouTubeOptions, title="or videos of YouTube-VOS", without=("sequences",), youtube_root=None)
    parser.add_options(ResultOptions, title="of YouTube-VOS alone")
    for kind in (AblationOptions, RuntimeOptions):
        parser.add_options(kind)
    parser.add_options(ViewOptions, short_side=None)
    parser.add_options(
        MemoryOptions, title="memory banks: every combination is a setting", lists=True,
        memory=("every_k", "first_and_latest", "lfu"), memory_frames=(1, 2, 4, 8), memory_every=(5,), top_k=(20,),
        index=("topk",), seed=(0,),
    )
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
