"""One page from several run folders over the same DAVIS data: table, figure over capacity, pictures.

    python scripts/report.py runs/every5 runs/lfu2 runs/lfu4 --davis-root DAVIS --year 2017 --output runs/report.md
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import tempfile

from dataset.davis import davis_sequences
from inference import report
from inference.commands import command
from inference.scoring import write_text


@command
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    runs = [report.read_run(folder) for folder in options.runs]
    names = options.sequences or list(runs[0].per_sequence)
    sequences = davis_sequences(options.davis_root, options.year, options.split, names=names)
    folder, stem = options.output.parent, options.output.stem
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copied = report.copied_first_mask(sequences, Path(scratch))
    report.capacity_figure(runs, folder / f"{stem}-capacity.png")
    for sequence in sequences[: options.pictures]:
        report.picture(runs, sequence, folder / f"{stem}-{sequence.name}.png")
    for run in runs:
        report.write_overlay(run, sequences[0], folder / f"{stem}-overlay-{run.folder.name}.png")
    write_text(options.output, page(options, runs, copied, [s.name for s in sequences[: options.pictures]], stem))
    print(report.table(runs, copied))
    print(f"wrote {options.output}")


def page(
    options: argparse.Namespace, runs: list[report.Run], copied: dict[str, float], pictured: list[str], stem: str
) -> str:
    results = [
        f"- {run.title}: [overlay]({stem}-overlay-{run.folder.name}.png), masks in `{run.folder}`" for run in runs
    ]
    lines = [
        f"# {options.title}", "",
        f"DAVIS {options.year} layout, {options.split}: {len(runs[0].per_sequence)} sequences, "
        f"{runs[0].totals['frames']} frames. Scores in per cent; FPS excludes reading and writing files; held: "
        "memory entries over the cells of a frame.", "",
        report.table(runs, copied), "",
        "## J&F over the capacity", "", f"![J&F over capacity]({stem}-capacity.png)", "",
        "## Per sequence (J&F)", "", report.sequence_table(runs), "",
        "## Pictures", "", *(f"![{name}]({stem}-{name}.png)" for name in pictured), "",
        *results, "",
    ]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="run folders of eval_davis.py, scored")
    add("--davis-root", type=Path, required=True)
    add("--year", type=int, choices=(2016, 2017), default=2017)
    add("--split", default="val")
    add("--sequences", nargs="+", metavar="NAME", help="only these (default: those of the first run)")
    add("--pictures", type=int, default=3, metavar="N", help="sequences to picture (default: 3)")
    add("--title", default="Memory banks compared")
    add("--output", type=Path, required=True, help="the page, a .md file; pictures go beside it")
    return parser


if __name__ == "__main__":
    main()
