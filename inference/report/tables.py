"""Runs over one data set side by side: a table of banks, of sequences, of the differences between runs."""

import csv
import io
import math
from dataclasses import dataclass

from inference.report.intervals import COVERED, paired_interval
from inference.report.runs import Run


@dataclass(frozen=True)
class Table:
    """A table of a page and of a CSV file; the first `words` columns are text, the others numbers."""

    name: str
    header: list[str]
    rows: list[list[str]]
    title: str = ""
    notes: tuple[str, ...] = ()
    words: int = 1

    def markdown(self) -> str:
        lines = [self.header, *([text or "-" for text in row] for row in self.rows)]
        widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            "| " + " | ".join(
                text.ljust(width) if index < self.words else text.rjust(width)
                for index, (text, width) in enumerate(zip(line, widths, strict=True))
            ) + " |"
            for line in lines
        ]
        rule = [f"{'-' * (width + 1)}{'-' if i < self.words else ':'}" for i, width in enumerate(widths)]
        return "\n".join([aligned[0], f"|{'|'.join(rule)}|", *aligned[1:], *(f"\n{note}" for note in self.notes)])

    def csv(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()


def bank_table(runs: list[Run], copied: dict[str, float] | None) -> Table:
    """Scores in per cent, FPS and frames held of every run over one data set; the baseline last."""
    columns = runs[0].columns
    header = ["memory bank", *(column.replace("-", " ") for column in columns), "FPS", "held: mean", "peak"]
    rows = [
        [run.title, *(percent(run.scores.get(column)) for column in columns), number(run.totals["fps"], 1),
         number(run.totals["frames_held_mean"], 1), number(run.totals["frames_held_peak"], 0)]
        for run in runs
    ]
    if copied:
        rows.append(["first mask copied", *(percent(copied[column]) for column in columns), "", "", ""])
    return Table("banks", header, rows)


def sequence_table(runs: list[Run]) -> Table:
    """J&F of each sequence under each bank, in per cent."""
    names = _sequences(runs)
    rows = [[name, *(percent(_sequence_score(run, name)) for run in runs)] for name in names]
    means = (_mean([_sequence_score(run, name) for name in names]) for run in runs)
    rows.append(["mean over sequences", *map(percent, means)])
    return Table("sequences", ["sequence", *(run.title for run in runs)], rows, "Per sequence (J&F)")


def difference_table(runs: list[Run]) -> Table:
    """J&F of each sequence, every run minus the first, in points; means over sequences both have, with intervals."""
    first, others = runs[0], runs[1:]
    names = _sequences(runs)
    lines = {
        name: [_sequence_score(run, name) - _sequence_score(first, name) for run in others] for name in names
    }
    rows = [[name, *map(points, line)] for name, line in lines.items()]
    columns = [list(column) for column in zip(*lines.values(), strict=True)]
    rows.append(["mean over sequences", *(points(_mean(column)) for column in columns)])
    intervals = [paired_interval(column) for column in columns]
    rows.append([f"its {COVERED:.0%} interval: from", *(points(low) for low, _ in intervals)])
    rows.append(["to", *(points(high) for _, high in intervals)])
    title = f"Differences per sequence (J&F minus that of {first.title})"
    return Table("differences", ["sequence", *(run.title for run in others)], rows, title)


def number(value: float | None, digits: int) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    return number(None if value is None else 100 * value, 1)


def points(difference: float) -> str:
    """A difference of scores in per cent, with its sign; no minus before a zero."""
    return "" if math.isnan(difference) else f"{round(100 * difference, 1) + 0.0:+.1f}"


def _sequences(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.per_sequence))


def _sequence_score(run: Run, name: str) -> float:
    return run.per_sequence.get(name, {}).get(run.columns[0], math.nan)


def _mean(values: list[float]) -> float:
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan
