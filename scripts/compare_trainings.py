"""Banks over several trainings (seeds) of a recipe, and recipes against each other, with 95 % intervals.

    python scripts/compare_trainings.py runs/study/plain_0 runs/study/plain_1 runs/study/plain_2 --output runs/plain.md
    python scripts/compare_trainings.py runs/study/plain_0 runs/study/plain_1 --output runs/dropout.md \\
        --against dropout runs/study/dropout_0 runs/study/dropout_1
    python scripts/compare_trainings.py runs/curve/iteration_* --curve runs/curve.png --output runs/curve.md

Each TRAINING is a folder of scripts/ablate.py: banks with the weights of that training, all over the same sequences.
The intervals are of paired bootstraps over trainings and sequences. With three trainings they are rough; one training
says nothing about others, whatever its interval. The trainings of --against are paired with the first ones in their
order, so give those of one seed the same place.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.commands import command
from inference.report.page import table_lines
from inference.report.trainings import Trainings, bank_table, curve_table, draw_curve, read_trainings, recipe_table
from scripts.arguments import CommandParser


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    trainings = read_trainings(options.trainings)
    others = read_others(options.against, trainings)
    references = reference_banks(options.minus, trainings)
    banks = curve_table(trainings, references[-1]) if options.curve else bank_table(trainings, references)
    tables = [banks, *([recipe_table(trainings, others)] if others else [])]
    if options.curve:
        draw_curve(trainings, references[-1], options.curve)
    folder, stem = options.output.parent, options.output.stem
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# Trainings compared", "", f"{len(trainings.sequences)} sequences: {', '.join(trainings.sequences)}. "
             "Differences in points, with 95 % intervals.", ""]
    lines += [line for table in tables for line in table_lines(table, folder, stem)]
    write_text(options.output, "\n".join(lines))
    for table in tables:
        print(table.markdown(), end="\n\n")
    print(f"wrote {options.output}" + (f" and {options.curve}" if options.curve else ""))


def read_others(given: list[list[str]], trainings: Trainings) -> dict[str, Trainings]:
    """The recipes of --against, by their names."""
    for name, *folders in given:
        if not folders:
            raise DatasetError(f"--against {name}: expected a name and folders of trainings, found a name alone; give "
                               f"--against NAME {' '.join(trainings.names)}, or the like")
    return {name: read_trainings([Path(folder) for folder in folders], trainings) for name, *folders in given}


def reference_banks(given: list[str] | None, trainings: Trainings) -> list[str]:
    """The banks of --minus; the first one by default."""
    banks = list(trainings.scores)
    for bank in given or ():
        if bank not in banks:
            raise DatasetError(f"--minus {bank!r}: expected a bank as the table calls it, found none; give one of "
                               f"{', '.join(map(repr, banks))}")
    return given or banks[:1]


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("trainings", nargs="+", type=Path, metavar="TRAINING", help="folders of scripts/ablate.py, one per training")
    add("--against", nargs="+", action="append", default=[], metavar=("NAME", "TRAINING"),
        help="another recipe: its name, and its trainings in the order of the first ones; repeatable")
    add("--minus", nargs="+", metavar="BANK",
        help='show differences from these banks, such as "every-5" (default: the first); --curve: from the last one')
    add("--curve", type=Path, metavar="FILE",
        help="the trainings are checkpoints of one, by the number in their folders' names: a row for each, and a "
        "picture of J&F over it")
    add("--output", type=Path, required=True, help="the page, a .md file; its tables as CSV go beside it")
    return parser


if __name__ == "__main__":
    main()
