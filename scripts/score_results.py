"""Score a folder of result masks: J, F and J&F as the DAVIS 2017 toolkit, or by the rules of another benchmark."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from dataset.benchmarks import TITLES
from dataset.image_files import list_images
from inference.commands import command
from inference.data_options import BenchmarkOptions
from inference.run.record import write_json
from inference.run.submission import NOT_SCORED
from inference.scoring.davis import format_table, score_results, write_csvs
from inference.scoring.folders import as_json, common_sequences, guess_binary, score_benchmark, unseen_note
from scripts.arguments import CommandParser, positive

EXAMPLE = """\
Both folders hold one folder per sequence: ANNOTATIONS/bear/00000.png, RESULTS/bear/00000.png. The objects are
those of a sequence's first annotation; its first and last frame do not count.

example, results of eval_davis.py:
  python scripts/score_results.py --annotations DAVIS/Annotations/480p --results output/davis --year 2016

example, results of eval_folder.py or of another program; --root is the data set, docs/DATA.md shows its tree:
  python scripts/score_results.py --benchmark lvos --root data/LVOS --results runs/lvos/Annotations

The table of DAVIS shows per cent: mean, recall (share of frames above 50 %) and decay (first quarter minus last) of J
(region similarity) and F (boundary accuracy). Exit status 2: something is missing or cannot be read.
"""


@command(again="run the same command again")
def main(arguments: list[str] | None = None) -> None:
    options = checked(parser().parse_args(arguments), parser())
    if options.benchmark:
        _score_benchmark(options)
        return
    names: list[str] | None = options.sequences
    notes: list[str] = []
    if names is None:
        names, notes = common_sequences(options.annotations, options.results)
    truths = {name: {path.stem: path for path in list_images(options.annotations / name)} for name in names}
    binary = options.year == 2016
    if options.year is None:
        binary = guess_binary(truths)
        notes.append("the first annotations hold one object each: assuming --year 2016 (single object)" if binary
                     else "the first annotations hold object numbers: assuming --year 2017")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    scores = score_results(truths, options.results, binary, options.workers)
    print(format_table(scores))
    for sequence in scores:
        for note in sequence.notes:
            print(f"note: {note}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, as_json(scores, binary))
    if options.csv:
        write_csvs(options.csv, options.split or "val", scores)


def _score_benchmark(options: argparse.Namespace) -> None:
    data = BenchmarkOptions(options.benchmark, options.root, options.split, options.sequences)
    unseen = data.unseen_videos(options.unseen)
    scores = score_benchmark(data.benchmark, data.read(), options.results, options.annotations, unseen)
    if scores is None:
        print(NOT_SCORED.replace("--ground-truth", "--annotations"))
        return
    print("  ".join(f"{column} {100 * value:.1f}" for column, value in scores[0].items()))
    if note := unseen_note(data.benchmark, unseen):
        print(f"note: {note}", file=sys.stderr)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, {"benchmark": data.benchmark, "global": scores[0], "sequences": scores[1]})


def checked(options: argparse.Namespace, parser: argparse.ArgumentParser) -> argparse.Namespace:
    needed, other = ("root", "csv") if options.benchmark else ("annotations", "root")
    if getattr(options, needed) is None:
        parser.error(f"the following arguments are required: --{needed}")
    if getattr(options, other) is not None:
        parser.error(f"--{other} does not go {'with' if options.benchmark else 'without'} --benchmark")
    return options


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("--annotations", type=Path, metavar="DIR", help="ground truth, a folder per sequence (with --benchmark: "
        "default, that of --root)")
    add("--results", type=Path, required=True, metavar="DIR", help="masks to score, a folder per sequence")
    add("--year", type=int, choices=(2016, 2017), help="2016: every label above 0 is the one object; "
        "2017: labels are object numbers (default: guessed from the first annotations, with a note)")
    add("--sequences", nargs="+", metavar="NAME", help="score only these sequences (default: every folder that both "
        "have)")
    add("--benchmark", choices=TITLES, help="score by the rules of this data set")
    add("--root", type=Path, metavar="DIR", help="with --benchmark: its folder")
    add("--unseen", type=Path, metavar="FILE", help="with --benchmark lvos: the list of videos of unseen categories "
        "(default: unseen_videos.txt in the root)")
    add("--json", type=Path, metavar="FILE", help="write everything, per-frame values included (with --benchmark: the "
        "scores of each sequence)")
    add("--csv", type=Path, metavar="DIR", help="write the official toolkit's two CSV files")
    add("--split", help="names the CSV files: global_results-SPLIT.csv (default: val); with --benchmark: its split")
    add("--workers", type=positive, metavar="N", help="threads (default: one per core)")
    return parser


if __name__ == "__main__":
    main()
