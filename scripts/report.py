"""One page from several run folders: tables, the figure over capacity, pictures, the thesis's numbers beside.

    python scripts/report.py runs/every5 runs/lfu2 runs/lfu4 --davis-root DAVIS --output runs/report.md
    python scripts/report.py runs/every5 runs/lfu2 --davis-root DAVIS --sequences dog --frames 10 25 40 --output page.md

Runs of eval_davis.py and eval_youtube.py may be mixed; each data set gets its own tables. The tables are written as CSV
beside the page too. Runs of DAVIS 2016 val, DAVIS 2017 val and YouTube-VOS valid are put beside the thesis's tables
(docs/reference), where data, sequences and memory bank are the thesis's: every-5, first-and-latest, LFU with 2 frames.
A run of weights trained with a regulariser (tables 5, 6, 9, 10) is known by its name: an every-5 run whose folder or
--label contains "dropout" or "reallocation".
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import re
import tempfile
import warnings

from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.files import write_text
from dataset.folder import FolderSequence
from inference.commands import command
from inference.report.pictures import capacity_figure, copied_first_mask, picture, write_overlay
from inference.report.runs import Run, by_data, read_runs
from inference.report.tables import Table, bank_table, difference_table, sequence_table
from inference.report.thesis import coverage, thesis_tables
from scripts.arguments import CommandParser


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    runs = read_runs(options.runs, options.label)
    groups = by_data(runs)
    pictured = pictured_runs(options, groups)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    pictures = picture_section(options, pictured) if pictured else []
    lines = [f"# {options.title}", ""]
    for data, group in groups.items():
        several = len(groups) > 1
        lines += [f"## {data if several else 'Memory banks'}", ""]
        stem = f"{options.output.stem}-{re.sub('[^a-z0-9]+', '-', data.lower())}" if several else options.output.stem
        copied = baseline(options, group) if group is pictured else None
        lines += data_section(group, copied, options.output.parent, stem)
        print(bank_table(group, copied).markdown())
    lines += thesis_section(runs, options.output) + pictures
    write_text(options.output, "\n".join(lines))
    print(f"wrote {options.output}")


def pictured_runs(options: argparse.Namespace, groups: dict[str, list[Run]]) -> list[Run] | None:
    """The runs that --davis-root is the data of: the first of --year, or the first of DAVIS at all."""
    if options.davis_root is None:
        if options.frames or options.sequences:
            raise DatasetError("--frames, --sequences: expected --davis-root beside them, found none; give it")
        return None
    for group in groups.values():
        if group[0].year and options.year in (None, group[0].year):
            return group
    raise DatasetError(f"--davis-root {options.davis_root}: expected runs of DAVIS {options.year or ''}, found "
                       f"{', '.join(groups)}; leave the flag out, or choose another --year")


def baseline(options: argparse.Namespace, runs: list[Run]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as scratch:
        return copied_first_mask(davis_of(options, runs[0], runs[0].sequences), Path(scratch))


def davis_of(options: argparse.Namespace, run: Run, names: list[str]) -> list[FolderSequence]:
    settings = {"split": "val", "resolution": "480p"} | run.settings
    return davis_sequences(
        options.davis_root, run.year, options.split or settings["split"], settings["resolution"], names
    )


def data_section(runs: list[Run], copied: dict[str, float] | None, folder: Path, stem: str) -> list[str]:
    """Banks, figure over capacity, sequences and differences of the runs over one data set."""
    first = runs[0]
    lines = [
        f"Data in the layout of {first.data}: {len(first.sequences)} sequences, {first.totals['frames']} frames. "
        "Scores in per cent; FPS excludes reading and writing files; held: memory entries over the cells of a frame.",
        "",
    ]
    if difference := difference_of(runs):
        lines += [difference, ""]
        warnings.warn(f"{first.data}: {difference} Compare runs over the same data and --sequences", stacklevel=2)
    lines += table_lines(bank_table(runs, copied), folder, stem)
    if capacity_figure(runs, folder / f"{stem}-capacity.png"):
        lines += ["### J&F over the capacity", "", f"![J&F over capacity]({stem}-capacity.png)", ""]
    scored = [run for run in runs if run.per_sequence]
    lines += table_lines(sequence_table(scored), folder, stem) if scored else []
    lines += table_lines(difference_table(scored), folder, stem) if len(scored) > 1 else []
    return lines


def difference_of(runs: list[Run]) -> str | None:
    """What runs are not over alike; None where their scores can be compared."""
    first = runs[0]
    if any(set(run.sequences) != set(first.sequences) for run in runs):
        what, counts = "sequences", [len(run.sequences) for run in runs]
    elif any(run.totals["frames"] != first.totals["frames"] for run in runs):
        what, counts = "numbers of frames", [run.totals["frames"] for run in runs]
    else:
        return None
    found = ", ".join(f"{run.title}: {count}" for run, count in zip(runs, counts, strict=True))
    return f"The runs are over different {what} ({found}), and so are the scores in this table."


def thesis_section(runs: list[Run], output: Path) -> list[str]:
    """The thesis's tables that the runs fill; nothing for other data."""
    tables, lacking = thesis_tables(runs), coverage(runs)
    if not tables and not lacking:
        return []
    lines = ["## Beside the thesis", "", "Measured, as printed in the thesis (`docs/reference`), and measured minus "
             "printed. What the weights were trained on is not compared.", "", *(f"- {text}" for text in lacking), ""]
    return lines + [line for table in tables for line in table_lines(table, output.parent, output.stem)]


def picture_section(options: argparse.Namespace, runs: list[Run]) -> list[str]:
    """Ground truth and a row per bank on some sequences; a large overlay per bank."""
    folder, stem = options.output.parent, options.output.stem
    sequences = davis_of(options, runs[0], options.sequences or runs[0].sequences[: options.pictures])
    for sequence in sequences:
        picture(runs, sequence, folder / f"{stem}-{sequence.name}.jpg", options.frames)
    lines = ["## Pictures", "", *(f"![{s.name}]({stem}-{s.name}.jpg)" for s in sequences), ""]
    for run in runs if sequences else ():
        write_overlay(run, sequences[0], folder / f"{stem}-overlay-{run.slug}.png")
        lines.append(f"- {run.title}: [overlay]({stem}-overlay-{run.slug}.png), masks in `{run.folder}`")
    return [*lines, ""]


def table_lines(table: Table, folder: Path, stem: str) -> list[str]:
    """The table in Markdown under its title, with a link to its CSV, which is written here."""
    file = f"{stem}-{table.name}.csv"
    write_text(folder / file, table.csv())
    return [*([f"### {table.title}", ""] if table.title else []), table.markdown(), "", f"[as CSV]({file})", ""]


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="run folders; differences are from the first")
    add("--output", type=Path, required=True, help="the page, a .md file; pictures and CSVs go beside it")
    add("--title", default="Memory banks compared")
    add("--label", action="append", metavar="RUN=NAME", help="call a run NAME (default: its memory bank); repeatable")
    pictures = parser.add_argument_group("pictures and the copied-first-mask baseline, from the data")
    add = pictures.add_argument
    add("--davis-root", type=Path, help="folder with JPEGImages, Annotations and ImageSets; without it, no pictures")
    add("--year", type=int, choices=(2016, 2017), help="picture the runs of this year (default: of the first run)")
    add("--split", help="the list in ImageSets (default: that of the runs)")
    add("--sequences", nargs="+", metavar="NAME", help="picture these (default: the first ones, see --pictures)")
    add("--pictures", type=int, default=3, metavar="N", help="how many sequences to picture (default: 3)")
    add("--frames", nargs="+", type=int, metavar="N", help="picture these frame numbers (default: five, spread out)")
    return parser


if __name__ == "__main__":
    main()
