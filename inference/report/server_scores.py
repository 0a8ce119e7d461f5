"""Scores that a benchmark's server reported: YouTube-VOS keeps the labels of its validation set.

    run,overall,j_seen,f_seen,j_unseen,f_unseen
    lfu2,0.811,0.803,0.843,0.761,0.838

A row per run. All values of a file have one unit: 0 to 1 as the server prints them, or per cent.
"""

import csv
import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataset.errors import DatasetError
from inference.report.runs import Run

COLUMNS = {"overall": "J&F", "j_seen": "J-seen", "f_seen": "F-seen", "j_unseen": "J-unseen", "f_unseen": "F-unseen"}
SOURCE = "scores from"           # key in Run.about: the file of the server's scores
_UNITS = "numbers from 0 to 1, or per cent from 0 to 100"
_ROUNDING = 0.0011               # between the overall score and the mean of its parts, which have three digits each


def read_server_scores(path: Path) -> dict[str, dict[str, float]]:
    """Run -> its scores in [0, 1], in the columns of YouTube-VOS runs ("J&F", "J-seen", ...).

    Warns if an overall score is not the mean of the other four. Raises DatasetError for a file that is no such table.
    """
    found: dict[str, dict[str, float]] = {}
    for number, row in _rows(path):
        name = (row["run"] or "").strip()
        if not name or name in found:
            raise DatasetError(f"{path}, line {number}: expected the name of a run, each once, found {name!r}"
                               f"{' again' if name else ''}; correct or remove the line")
        found[name] = {ours: _value(row[theirs], theirs, path, number) for theirs, ours in COLUMNS.items()}
    scores = _in_one_unit(found, path)
    for name, row in scores.items():
        mean = sum(value for column, value in row.items() if column != "J&F") / 4
        if abs(mean - row["J&F"]) > _ROUNDING:
            warnings.warn(f"{path}: run {name}: expected overall to be the mean of the other four, {mean:.4f}, found "
                          f"{row['J&F']:.4f}; check the numbers", stacklevel=2)
    return scores


def with_server_scores(runs: Sequence[Run], path: Path) -> list[Run]:
    """The runs with the scores in the file, which names a run as the report does, or as its folder was given.

    Raises DatasetError for names that are not those of one unscored run of YouTube-VOS each.
    """
    given: dict[str, tuple[str, dict[str, float]]] = {}           # name of the run -> name in the file, scores
    for name, scores in read_server_scores(path).items():
        run = _run_named(name, runs, path)
        if run.name in given:
            raise DatasetError(f"{path}: expected each run once, found {given[run.name][0]} and {name}, which are the "
                               "same run; remove one")
        given[run.name] = name, scores
    return [
        replace(run, scores=given[run.name][1], about={**run.about, SOURCE: str(path)}) if run.name in given else run
        for run in runs
    ]


def _run_named(name: str, runs: Sequence[Run], path: Path) -> Run:
    """The one run that the file calls `name`."""
    named = [run for run in runs if run.name == name] or [
        run for run in runs if name in (run.folder.name, str(run.folder))
    ]
    if len(named) != 1:
        known = ", ".join(run.name for run in runs)
        raise DatasetError(f"{path}: run {name}: expected the name of one run of this report ({known}), found "
                           f"{len(named) or 'none'}; correct the name, or add the run's folder to the command")
    (run,) = named
    if run.year is not None or run.scores:
        what = f"a run of {run.data}" if run.year is not None else "one that was scored against ground truth"
        raise DatasetError(f"{path}: run {name}: expected a run of YouTube-VOS without scores, found {what}; remove "
                           "the line")
    return run


def _rows(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """(number of the line, column -> text) of the rows; columns may have any order, and there may be others."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, skipinitialspace=True)
            columns = [column.strip() for column in reader.fieldnames or []]
            reader.fieldnames = columns
            rows = [(reader.line_num, row) for row in reader]
    except (ValueError, csv.Error):
        raise DatasetError(f"{path}: expected a CSV file of scores in UTF-8, found something else; see "
                           "--server-scores") from None
    if missing := [column for column in ("run", *COLUMNS) if column not in columns]:
        raise DatasetError(f"{path}: expected the columns run,{','.join(COLUMNS)}, found no {', '.join(missing)} in "
                           f"{','.join(columns) or 'an empty file'}; correct the first line")
    if not rows:
        raise DatasetError(f"{path}: expected a line of scores per run, found none; add them")
    return rows


def _value(text: str | None, column: str, path: Path, line: int) -> float:
    """A score as written."""
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise DatasetError(f"{path}, line {line}: {column}: expected {_UNITS}, found {text or 'nothing'}; copy the "
                           "server's number")
    return value


def _in_one_unit(rows: dict[str, dict[str, float]], path: Path) -> dict[str, dict[str, float]]:
    """Scores in [0, 1]. A file with a number above 1 is in per cent, and then no score but 0 may be below 1."""
    values = [value for row in rows.values() for value in row.values()]
    if max(values) <= 1:
        return rows
    if small := [value for value in values if 0 < value <= 1]:
        raise DatasetError(f"{path}: expected one unit in the whole file, {_UNITS}, found {small[0]:g} and "
                           f"{max(values):g}; write all of them in one unit")
    return {name: {column: value / 100 for column, value in row.items()} for name, row in rows.items()}
