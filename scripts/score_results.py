"""Score a folder of result masks against a folder of annotations: J, F and J&F as the DAVIS 2017 toolkit."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import json
import math

import numpy as np

from dataset.errors import DatasetError
from dataset.files import in_one_line, write_text
from dataset.image_files import list_images
from dataset.masks import read_labels
from inference.scoring.davis import (
    SequenceScores,
    format_table,
    global_statistics,
    score_results,
    write_csvs,
)
from scripts.arguments import CommandParser, positive

EXAMPLE = """\
Both folders hold one folder per sequence: ANNOTATIONS/bear/00000.png, RESULTS/bear/00000.png. The objects are
those of a sequence's first annotation; its first and last frame do not count.

example, results of eval_davis.py:
  python scripts/score_results.py --annotations DAVIS/Annotations/480p --results output/davis --year 2016

The table shows per cent: mean, recall (share of frames above 50 %) and decay (first quarter minus last) of J
(region similarity) and F (boundary accuracy). Exit status 2: something is missing or cannot be read.
"""


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        _score(options)
    except (DatasetError, OSError) as error:
        print(f"error: {in_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__, epilog=EXAMPLE)
    add = parser.add_argument
    add("--annotations", type=Path, required=True, metavar="DIR", help="ground truth, a folder per sequence")
    add("--results", type=Path, required=True, metavar="DIR", help="masks to score, a folder per sequence")
    add("--year", type=int, choices=(2016, 2017), help="2016: every label above 0 is the one object; "
        "2017: labels are object numbers (default: guessed from the first annotations, and said)")
    add("--sequences", nargs="+", metavar="NAME", help="default: every folder that both have")
    add("--json", type=Path, metavar="FILE", help="write everything, per-frame values included")
    add("--csv", type=Path, metavar="DIR", help="write the official toolkit's two CSV files")
    add("--split", default="val", help="names the CSV files: global_results-SPLIT.csv (default: val)")
    add("--workers", type=positive, metavar="N", help="threads (default: one per core)")
    return parser


def _score(options: argparse.Namespace) -> None:
    names = options.sequences or _common_sequences(options.annotations, options.results)
    truths = {name: {path.stem: path for path in list_images(options.annotations / name)} for name in names}
    binary = options.year == 2016 if options.year else _guess_binary(truths)
    scores = score_results(truths, options.results, binary, options.workers)
    print(format_table(scores))
    for sequence in scores:
        for note in sequence.notes:
            print(f"note: {note}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_text(options.json, json.dumps(_as_json(scores, binary), indent=1, allow_nan=False) + "\n")
    if options.csv:
        write_csvs(options.csv, options.split, scores)


def _common_sequences(annotations: Path, results: Path) -> list[str]:
    expected, found = _folders(annotations), _folders(results)
    common = [name for name in found if name in expected]
    if not common:
        raise DatasetError(
            f"{results}: expected folders named like those of {annotations} ({_few(expected)}), found "
            f"{_few(found)}; both arguments are folders of sequence folders"
        )
    if unknown := [name for name in found if name not in expected]:
        print(f"note: left out, having no annotations: {_few(unknown)}", file=sys.stderr)
    if absent := [name for name in expected if name not in found]:
        print(f"note: left out, having no results: {_few(absent)}", file=sys.stderr)
    return common


def _guess_binary(truths: dict[str, dict[str, Path]]) -> bool:
    firsts = [next(iter(truth.values())) for truth in truths.values() if truth]
    values = [set(np.unique(read_labels(path)).tolist()) for path in firsts]
    binary = all(labels <= {0, 1} or labels <= {0, 255} for labels in values)
    print("note: " + ("the first annotations hold one object each: assuming --year 2016 (single object)" if binary
                      else "the first annotations hold object numbers: assuming --year 2017"), file=sys.stderr)
    return binary


def _as_json(scores: list[SequenceScores], binary: bool) -> dict:
    return {
        "single_object": binary,
        "global": {column: _finite(value) for column, value in global_statistics(scores).items()},
        "sequences": {
            sequence.sequence: {
                "frames": sequence.frames,
                "objects": {
                    str(number): {
                        "J": [_finite(value) for value in vars(scored.j_statistics).values()],
                        "F": [_finite(value) for value in vars(scored.f_statistics).values()],
                        "J_frames": scored.j,
                        "F_frames": scored.f,
                    }
                    for number, scored in sequence.objects.items()
                },
                "notes": sequence.notes,
            }
            for sequence in scores
        },
    }


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value   # JSON knows no NaN


def _folders(parent: Path) -> list[str]:
    if not parent.is_dir():
        raise DatasetError(f"{parent}: expected a folder of sequence folders, found no folder; check the path")
    return sorted(path.name for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _few(names: list[str]) -> str:
    return (", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")) or "none"


if __name__ == "__main__":
    raise SystemExit(main())
