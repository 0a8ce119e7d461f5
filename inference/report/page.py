"""The page of a report: tables of every data set, the figure over capacity, the thesis's numbers, pictures.

Tables are written as CSV files beside the page, figures and pictures as image files.
"""

import re
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset.errors import DatasetError
from dataset.files import write_text
from dataset.folder import FolderSequence
from inference.report.pictures import capacity_figure, copied_first_mask, picture, write_overlay
from inference.report.runs import Run, by_data
from inference.report.server_scores import SOURCE
from inference.report.tables import Table, bank_table, difference_table, sequence_table
from inference.report.thesis import coverage, thesis_tables
from inference.run.data import davis_of

LONGEST = 100        # rows of a table on a page


@dataclass(frozen=True)
class Pictured:
    """The DAVIS data to picture."""

    root: Path
    year: int | None = None                     # of the runs pictured; None: that of the first run of DAVIS
    split: str | None = None                    # a list in ImageSets; None: that of the runs
    sequences: Sequence[str] | None = None      # None: the first `count` ones of the runs
    count: int = 3
    frames: list[int] | None = None             # frame numbers; None: five, spread out

    def group(self, groups: dict[str, list[Run]]) -> list[Run]:
        """The runs over this data; raises DatasetError if there are none."""
        for group in groups.values():
            if group[0].year and self.year in (None, group[0].year):
                return group
        raise DatasetError(f"--davis-root {self.root}: expected runs of DAVIS {self.year or ''}, found "
                           f"{', '.join(groups)}; leave the flag out, or choose another --year")

    def of(self, run: Run, names: Sequence[str]) -> list[FolderSequence]:
        """Sequences of a run."""
        return davis_of(run.settings, self.root, names, self.split)


def write_page(runs: list[Run], output: Path, title: str, data: Pictured | None = None) -> list[Table]:
    """Write the page `output` and the files beside it; returns the table of banks of each data set.

    Pictures and the baseline of copied first masks need `data`. Raises DatasetError if the data cannot be pictured.
    """
    groups = by_data(runs)
    pictured = data.group(groups) if data else None
    output.parent.mkdir(parents=True, exist_ok=True)
    pictures = picture_section(data, pictured, output) if data and pictured else []
    lines, tables = [f"# {title}", ""], []
    for name, group in groups.items():
        several = len(groups) > 1
        lines += [f"## {name if several else 'Memory banks'}", ""]
        stem = f"{output.stem}-{re.sub('[^a-z0-9]+', '-', name.lower())}" if several else output.stem
        tables.append(bank_table(group, baseline(data, group) if data and group is pictured else None))
        lines += data_section(group, tables[-1], output.parent, stem)
    lines += thesis_section(runs, output) + pictures
    write_text(output, "\n".join(lines))
    return tables


def baseline(data: Pictured, runs: list[Run]) -> dict[str, float]:
    """Scores of copying the first mask to every frame."""
    with tempfile.TemporaryDirectory() as scratch:
        return copied_first_mask(data.of(runs[0], runs[0].sequences), Path(scratch))


def data_section(runs: list[Run], banks: Table, folder: Path, stem: str) -> list[str]:
    """The table of banks, figure over capacity, sequences and differences of the runs over one data set."""
    first = runs[0]
    lines = [
        f"Data in the layout of {first.data}: {len(first.sequences)} sequences, {first.totals['frames']} frames. "
        "Scores in per cent; FPS excludes reading and writing files; held: memory entries over the cells of a frame.",
        "",
    ]
    for file in dict.fromkeys(run.about[SOURCE] for run in runs if SOURCE in run.about):
        titles = "; ".join(run.title for run in runs if run.about.get(SOURCE) == file)
        lines += [f"Scores from `{file}`: {titles}.", ""]
    if difference := difference_of(runs):
        lines += [difference, ""]
        warnings.warn(f"{first.data}: {difference} Compare runs over the same data and --sequences", stacklevel=2)
    lines += table_lines(banks, folder, stem)
    if capacity_figure(runs, folder / f"{stem}-capacity.png"):
        lines += ["### J&F over the capacity", "", f"![J&F over capacity]({stem}-capacity.png)", ""]
    scored = [run for run in runs if run.per_sequence]
    lines += table_lines(sequence_table(scored), folder, stem) if scored else []
    lines += table_lines(difference_table(scored), folder, stem) if len(scored) > 1 else []
    return lines


def difference_of(runs: list[Run]) -> str | None:
    """In what sequences or frames the runs differ; None if their scores can be compared."""
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


def picture_section(data: Pictured, runs: list[Run], output: Path) -> list[str]:
    """Ground truth and a row per bank on some sequences; a large overlay per bank."""
    folder, stem = output.parent, output.stem
    sequences = data.of(runs[0], data.sequences or runs[0].sequences[: data.count])
    for sequence in sequences:
        picture(runs, sequence, folder / f"{stem}-{sequence.name}.jpg", data.frames)
    lines = ["## Pictures", "", *(f"![{s.name}]({stem}-{s.name}.jpg)" for s in sequences), ""]
    for run in runs if sequences else ():
        write_overlay(run, sequences[0], folder / f"{stem}-overlay-{run.slug}.png")
        lines.append(f"- {run.title}: [overlay]({stem}-overlay-{run.slug}.png), masks in `{run.folder}`")
    return [*lines, ""]


def table_lines(table: Table, folder: Path, stem: str) -> list[str]:
    """The table in Markdown under its title, with a link to its CSV, which is written here; long ones as CSV alone."""
    file, rows = f"{stem}-{table.name}.csv", len(table.rows)
    write_text(folder / file, table.csv())
    shown = table.markdown() if rows <= LONGEST else f"{rows} rows, in the CSV."
    return [*([f"### {table.title}", ""] if table.title else []), shown, "", f"[as CSV]({file})", ""]
