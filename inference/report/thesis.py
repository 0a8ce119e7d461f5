"""Runs compared with the thesis's printed numbers (docs/reference): measured, printed, difference.

A run is compared with a row only if data set, sequences and memory bank are the same. Tables of a whole validation set
need all of its sequences; the tables per object compare the sequences that a run and the thesis share. Runs by another
protocol than the thesis's (`inference.report.protocol`) come last, each with a footnote.
"""

import csv
import math
import re
from functools import cache
from pathlib import Path

from inference.report.protocol import Footnotes, departures
from inference.report.runs import Run
from inference.report.tables import Table, number

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
SUMMARIES = {
    1: ("DAVIS, per cent", ("every 5", "first and latest", "LFU 2")),
    2: ("YouTube-VOS, per cent", ("every 5", "first and latest", "LFU 2")),
    3: ("speed and frames held", ("every 5", "first and latest", "LFU 2")),
    4: ("what the LFU bank counts, per cent", ("softmax index",)),
    5: ("regularisers in training, DAVIS, per cent", ("dropout", "reallocation")),
    6: ("regularisers in training, YouTube-VOS, per cent", ("dropout", "reallocation")),
}                                                     # number -> title, and the rows that make it worth showing
PER_OBJECT = {7: "DAVIS 2017", 8: "DAVIS 2016", 9: "DAVIS 2016", 10: "DAVIS 2017"}
NOTES = {3: "Speed: the thesis's on a GTX 1070. Frames held: mean over the frames; the thesis gives the fixed capacity "
            "for the bounded banks."}
NOTES |= dict.fromkeys((5, 6), "The thesis's every-5 rows are STCN's published weights, which were also trained on "
                               "BL30K. A training in two stages compares with STCN's s03 (docs/METHOD.md).")
NAMES_IN = {"DAVIS 2016 val": 8, "DAVIS 2017 val": 7}     # the table that lists a data set's sequences
YOUTUBE_VIDEOS = 507
BANKS = {("every-5", None): "every 5", ("first-and-latest", None): "first and latest", ("LFU", 2): "LFU 2",
         ("LFU (softmax index)", 2): "softmax index"}     # Run.family and capacity -> the row's Method
KINDS = ("measured", "thesis", "difference")


def thesis_tables(runs: list[Run]) -> list[Table]:
    """The thesis's tables that these runs fill, in its order; none for other data."""
    runs = sorted(runs, key=lambda run: bool(departures(run)))
    tables = [_summary(number, runs) for number in SUMMARIES]
    tables += [_per_object(number, run) for number in PER_OBJECT for run in runs]
    return [table for table in tables if table]


def method(run: Run) -> str | None:
    """The row of the thesis's tables that a run belongs to; None for banks and options that they lack.

    Regularizers act in training, so no setting records them: the run's name has to contain the regularizer's.
    """
    settings = {"memory_every": 5, "top_k": 20} | run.settings
    if (settings["memory_every"], settings["top_k"]) != (5, 20):
        return None
    bank = BANKS.get((run.family, run.capacity))
    for regularizer in ("dropout", "reallocation"):
        if regularizer in run.name.lower():
            return regularizer if bank == "every 5" else None
    return bank


def coverage(runs: list[Run]) -> list[str]:
    """Sentences on sequences of the thesis's data that the runs lack; none for complete runs and for other data."""
    lacking: dict[str, list[str]] = {}
    for run in filter(method, runs):
        expected, found = expected_sequences(run.data), set(run.sequences)
        if expected & found and expected != found:
            others = f" and {len(found - expected)} others" if found - expected else ""
            text = (f"{len(expected & found)} of the {len(expected)} sequences of {run.data}{others}: tables of the "
                    "whole set leave out")
            lacking.setdefault(text, []).append(run.title)
    return [f"{text} {'; '.join(titles)}." for text, titles in lacking.items()]


@cache
def reference(table: int) -> tuple[dict[str, str], ...]:
    """The rows of one of the thesis's tables, as printed."""
    with open(REFERENCE / f"table{table:02d}.csv", newline="") as lines:
        return tuple(csv.DictReader(lines))


def _summary(table: int, runs: list[Run]) -> Table | None:
    """Three rows per run: measured, the thesis's, difference. Columns with an erratum have no difference."""
    title, needed = SUMMARIES[table]
    columns = [column for column in reference(table)[0] if column not in ("Data", "Method", "Erratum")]
    rows, errata, methods, footnotes = [], [], set(), Footnotes()
    for run in filter(is_whole, runs):
        for printed in _rows_of(table, run):
            erratum = printed.get("Erratum") or ""
            wrong = erratum.partition(":")[0].split(", ")
            triples = [compare(value_of(run, column), float(printed[column]), 1, column in wrong) for column in columns]
            if not any(measured for measured, _, _ in triples):
                continue
            bank = footnotes.title(run)
            rows += [
                [run.data, bank, kind, *line]
                for kind, line in zip(KINDS, zip(*triples, strict=True), strict=True)
            ]
            errata += [f"\\* Erratum, {run.data}, {printed['Method']}: {erratum}."] if erratum else []
            methods.add(printed["Method"])
    if methods.isdisjoint(needed):
        return None
    notes = (*filter(None, [NOTES.get(table)]), *footnotes.notes, *dict.fromkeys(errata))
    return Table(f"table{table:02d}", ["data", "memory bank", "value", *columns], rows,
                 f"Table {table}: {title}", notes, words=3)


def _per_object(table: int, run: Run) -> Table | None:
    """A row per object that run and thesis share, their mean last, in the thesis's unit (0 to 1)."""
    printed = _rows_of(table, run)
    shared = [row for row in printed if row["Sequence"] in run.objects]
    if not shared:
        return None
    rows = []
    for row in shared:
        scores = run.objects[row["Sequence"]]
        triples = [compare(scores[column], float(row[column]), 3) for column in ("J-Mean", "F-Mean")]
        rows.append([row["Sequence"], *triples[0], *triples[1]])
    means: list[str] = []
    for column in ("J-Mean", "F-Mean"):
        measured = sum(run.objects[row["Sequence"]][column] for row in shared) / len(shared)
        means += compare(measured, sum(float(row[column]) for row in shared) / len(shared), 3)
    rows.append([f"mean of {len(shared)}", *means])
    header = ["Sequence", *(f"{column} {kind}" for column in ("J-Mean", "F-Mean") for kind in KINDS)]
    notes = () if len(shared) == len(printed) else (f"{len(shared)} of the table's {len(printed)} rows: the sequences "
                                                    "that the run has; both means are over these.",)
    footnotes = Footnotes()
    title = f"Table {table}: {PER_OBJECT[table]} per object, {footnotes.title(run)}"
    return Table(f"table{table:02d}-{run.slug}", header, rows, title, (*footnotes.notes, *notes))


def _rows_of(table: int, run: Run) -> list[dict[str, str]]:
    return [row for row in reference(table) if (row["Data"], row["Method"]) == (run.data, method(run))]


def expected_sequences(data: str) -> set[str]:
    """The names of the sequences of a data set of DAVIS in the thesis; nothing for other data."""
    rows = reference(NAMES_IN[data]) if data in NAMES_IN else ()
    return {row["Sequence"].rpartition("_")[0] for row in rows}


def is_whole(run: Run) -> bool:
    """Whether a run is over the thesis's sequences: by name for DAVIS, by the kind of name for YouTube-VOS."""
    if run.data == "YouTube-VOS valid":
        videos = [name for name in run.sequences if re.fullmatch("[0-9a-f]{10}", name)]
        return len(videos) == len(run.sequences) == YOUTUBE_VIDEOS
    return bool(expected := expected_sequences(run.data)) and set(run.sequences) == expected


def value_of(run: Run, column: str) -> float:
    """A run's value of one of the thesis's columns, in its unit; NaN if the run has none."""
    if column in ("FPS", "Frames-held"):
        return run.totals["fps" if column == "FPS" else "frames_held_mean"]
    scores = dict(run.scores)
    if "J-seen" in scores and "F-unseen" in scores:              # table 4 has YouTube-VOS in DAVIS's columns
        scores |= {f"{m}-Mean": (scores[f"{m}-seen"] + scores[f"{m}-unseen"]) / 2 for m in "JF"}
        scores["J&F-Mean"] = run.j_and_f
    return 100 * scores.get(column, math.nan)


def compare(measured: float, printed: float, digits: int, wrong: bool = False) -> tuple[str, str, str]:
    """Measured, printed, and the difference; no difference if one value is missing or the printed one wrong."""
    star, sign = ("*", "") if wrong else ("", f"{round(measured - printed, digits) + 0.0:+.{digits}f}")
    return number(measured, digits), number(printed, digits) + star, "" if math.isnan(measured) else sign
