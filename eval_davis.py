"""Segment DAVIS 2016 or 2017 and score the masks.

    python eval_davis.py --davis-root DAVIS --year 2017 --weights stcn.pth --memory lfu --output runs/lfu2

Writes OUTPUT/<sequence>/00000.png (indexed, DAVIS palette), run.json (settings, versions, FPS, entries held)
and the official toolkit's two CSVs. A run that was stopped goes on when the same command is run again. Several
processes share the sequences: torchrun --nproc-per-node 2 eval_davis.py ...
"""

import argparse
from pathlib import Path

from dataset.davis import davis_sequences, has_full_ground_truth
from dataset.folder import FolderSequence
from inference.commands import LESS_MEMORY, command
from inference.options import add_run_flags, parse_with_config, run_folder, segmenter_maker
from inference.run.folder import RunFolder
from inference.run.ranks import Ranks
from inference.run.record import describe, write_json
from inference.run.runner import run_sequences
from inference.scoring.davis import format_table, global_statistics, score_results, write_csvs
from scripts.arguments import CommandParser


@command(less=LESS_MEMORY)
def main(arguments: list[str] | None = None) -> None:
    options = parse_with_config(parser(), arguments)
    sequences = davis_sequences(
        options.davis_root, options.year, options.split, options.resolution, options.sequences
    )
    ranks = Ranks()
    folder = run_folder(
        options, "eval_davis", "davis_root", "year", "split", "resolution", processes=ranks.count,
        telemetry=options.telemetry,
    )
    run = run_sequences(sequences, segmenter_maker(options)(), folder, ranks, options.overwrite)
    if not ranks.first:
        return
    if options.no_score:
        pass
    elif all(map(has_full_ground_truth, sequences)):
        score(sequences, run, folder, options)
    else:
        print("not scored: the annotations stop after the first frame")
    print(describe(run["totals"]))


def score(sequences: list[FolderSequence], run: dict, folder: RunFolder, options: argparse.Namespace) -> None:
    """Score the result folder, print the table, write the CSVs and add the scores to run.json."""
    scores = score_results({s.name: s.ground_truth for s in sequences}, options.output, options.year == 2016)
    print(format_table(scores))
    for note in (note for scored in scores for note in scored.notes):
        print(f"note: {note}")
    write_csvs(options.output, options.split, scores)
    run["scores"] = global_statistics(scores)
    run["scores_per_sequence"] = {scored.sequence: global_statistics([scored]) for scored in scores}
    write_json(folder.file, run)


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--davis-root", type=Path, required=True, help="folder with JPEGImages, Annotations and ImageSets")
    add("--year", type=int, choices=(2016, 2017), default=2017, help="2016: one object; 2017: several (default)")
    add("--split", default="val", help="val, train or test-dev: a list in ImageSets (default: val)")
    add("--resolution", choices=("480p", "Full-Resolution"), default="480p")
    add_run_flags(parser)
    return parser


if __name__ == "__main__":
    main()
