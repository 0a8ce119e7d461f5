"""Ablate the memory bank: policies x capacities x intervals x top-k x index over DAVIS, one table, one figure.

    python scripts/ablate.py --davis-root DAVIS --weights stcn.pth --output runs/ablation \\
        --memory every_k first_and_latest lfu fifo lru --memory-frames 1 2 4 8

Every combination of the lists is a cell. All cells see a sequence's frames in lockstep: a frame is read, padded and
key-encoded once for all of them. Combinations that make no difference run once: banks without a capacity of their own
(every_k, first_and_latest) are not multiplied by --memory-frames, --index multiplies lfu and banks derived from it
only, --memory-every not first_and_latest. Combinations that contradict themselves are left out, with a note.

Writes OUTPUT/ablation.csv (a row per sequence and cell, and "(mean)" of each cell: the numbers of eval_davis.py),
ablation.md, score_over_capacity.png, speed_over_score.png and run.json. FPS is that of a single run: frames over the
seconds of encoding them and of the cell's own steps. When the same command is run again, with more cells or
sequences perhaps, it computes what is missing; the files show the cells and sequences of the last command.
"""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset.davis import davis_sequences
from inference.ablation.ablation_report import cost, describe, emphasised, runs_of, write_ablation
from inference.ablation.lockstep import Ablation
from inference.ablation.records import COMMAND
from inference.ablation.settings import Cell, cells_of
from inference.commands import LESS_MEMORY, command
from inference.memory import INDICES, POLICIES
from inference.options import add_network_flags, add_run_flags, parse_with_config, run_folder, segmenter_maker
from inference.report.tables import bank_table
from inference.run.folder import RunFolder
from scripts.arguments import CommandParser, positive


@command(less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parse_with_config(parser(), arguments)
    sequences = davis_sequences(
        options.davis_root, options.year, options.split, options.resolution, options.sequences
    )
    cells, notes = cells_of(
        options.memory, options.memory_frames, options.memory_every, options.top_k, options.index,
        options.include_last, options.protect_first,
    )
    for note in notes:
        print(f"note: {note}")
    single = single_run(options, cells[0])
    folder = ablation_folder(single, cells[0])
    like = segmenter_maker(single, options.short_side)()
    records = Ablation(cells, like, folder, options.write_masks).run(sequences, options.overwrite)
    runs = runs_of(cells, records, folder)
    write_ablation(folder, runs, records)
    print(emphasised(bank_table(runs, None)).markdown())
    print(describe(cost(records)))


def single_run(options: argparse.Namespace, cell: Cell) -> argparse.Namespace:
    """The options of a single evaluation of `cell`."""
    evaluation = argparse.ArgumentParser()
    add_run_flags(evaluation)
    defaults = evaluation.parse_args(["--weights", str(options.weights), "--output", str(options.output)])
    return argparse.Namespace(**vars(defaults) | vars(options) | cell.flags)


def ablation_folder(single: argparse.Namespace, cell: Cell) -> RunFolder:
    """The folder of a single run of `cell`, without what the cells differ in."""
    folder = run_folder(single, COMMAND, "davis_root", "year", "split", "resolution", "short_side")
    return replace(folder, settings={k: v for k, v in folder.settings.items() if k not in asdict(cell)})


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--davis-root", type=Path, required=True, help="folder with JPEGImages, Annotations and ImageSets")
    add("--year", type=int, choices=(2016, 2017), default=2017, help="2016: one object; 2017: several (default)")
    add("--split", default="val", help="a list in ImageSets whose annotations are all there (default: val)")
    add("--resolution", choices=("480p", "Full-Resolution"), default="480p")
    add("--sequences", nargs="+", metavar="NAME", help="only these")
    add("--weights", type=Path, required=True, help="network: own or published STCN layout")
    add("--output", type=Path, required=True, help="folder for table, figures and records")
    add("--short-side", type=int, default=0, metavar="PIXELS", help="larger frames are shrunk to it for the network, "
        "masks brought back; 0: native size (default)")
    add("--write-masks", action="store_true", help="also write OUTPUT/<cell>/<sequence>/00000.png")
    add("--overwrite", action="store_true", help="start anew where OUTPUT holds an ablation with other settings")
    add_network_flags(parser)
    add = parser.add_argument_group("memory banks: every combination is a cell").add_argument
    add("--memory", nargs="+", choices=sorted(POLICIES), metavar="NAME",
        default=["every_k", "first_and_latest", "lfu"],
        help=f"banks: {', '.join(sorted(POLICIES))} (default: every_k first_and_latest lfu)")
    add("--memory-frames", nargs="+", type=positive, default=[1, 2, 4, 8], metavar="N", help="capacities in frames, of "
        "the banks that forget (default: 1 2 4 8)")
    add("--memory-every", nargs="+", type=positive, default=[5], metavar="K",
        help="store every K-th frame (default: 5)")
    add("--top-k", nargs="+", type=positive, default=[20], metavar="K", help="entries a query cell reads (default: 20)")
    add("--index", nargs="+", choices=INDICES, default=["topk"], help="what lfu counts (default: topk)")
    add("--include-last", action="store_true", help="hold the previous frame too, until the next; takes one frame of "
        "the capacity")
    add("--protect-first", action="store_true", help="never evict the first frame")
    return parser


if __name__ == "__main__":
    main()
