"""An ablation's numbers for readers: CSV, page, figures, run.json. Each file appears complete or not at all."""

import os
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dataset.files import write_text
from inference.ablation.figures import speed_figure
from inference.ablation.lockstep import Ablation
from inference.ablation.records import SequenceRecord, SettingReport
from inference.ablation.settings import name_of, titles
from inference.memory import MemoryOptions
from inference.memory.labels import relevant
from inference.options import label, labels
from inference.report.page import LONGEST
from inference.report.pictures import capacity_figure
from inference.report.runs import Run, data_of
from inference.report.tables import Table, bank_table, sequence_table
from inference.run.record import held_in_all, read_run, write_json
from inference.runtime import RuntimeOptions

OPTIONS = [each.name for each in fields(MemoryOptions)]
DIGITS = {"frames": 0, "fps": 3, "frames_held_mean": 4, "frames_held_peak": 4, "bytes_held_peak": 0}
UNSCORED = ("Not scored: the annotations do not cover the required frames. Give the scores of a server to "
            "scripts/report.py, with --server-scores.")
FIGURES = {"score_over_capacity": "J&F over the capacity", "speed_over_score": "Speed and score"}


def runs_of(ablation: Ablation, records: dict[str, SequenceRecord]) -> list[Run]:
    """Each setting as a run, from which tables and figures are made."""
    options, named = ablation.folder.settings, titles(ablation.settings)
    runs = []
    for setting in ablation.settings:
        key = name_of(setting)
        reports = {name: record.reports[key] for name, record in records.items()}
        scores, per_sequence = ablation.data.scores(reports)
        family, title = named[setting]
        runs.append(Run(
            folder=ablation.folder.output / key, name=key, title=title, family=family,
            capacity=setting.memory_frames, data=data_of(options), year=options.get("year"),
            settings=relevant(setting), totals=_totals(list(reports.values())), sequences=list(reports), scores=scores,
            per_sequence=per_sequence, objects={},
        ))
    return runs


def cost(records: dict[str, SequenceRecord]) -> dict[str, float]:
    """The time of all passes over the sequences: seconds of encoding, of the settings' own work, of everything."""
    passes = [done for record in records.values() for done in record.passes]
    encoding, own, wall = (
        sum(getattr(done, key) for done in passes) for key in ("encode_seconds", "step_seconds", "wall_seconds")
    )
    settings = len({name for done in passes for name in done.settings})
    return {
        "cells": settings, "encode_seconds_total": encoding, "step_seconds_total": own, "wall_seconds": wall,
        "ratio": wall / own,
    }


def describe(seconds: dict[str, float]) -> str:
    """One line for people."""
    return (
        "wall {wall_seconds:.1f} s, of which encoding {encode_seconds_total:.1f} s, decoding and value encoding of "
        "{cells} settings {step_seconds_total:.1f} s (ratio {ratio:.2f})"
    ).format(**seconds)


def write_ablation(ablation: Ablation, runs: list[Run], records: dict[str, SequenceRecord]) -> None:
    """Write ablation.csv, ablation.md, the figures, and the outcome into run.json."""
    folder = ablation.folder
    reports = {run.name: {name: record.reports[run.name] for name, record in records.items()} for run in runs}
    write_text(folder.output / "ablation.csv", csv_table(runs, reports, ablation.data.columns).csv())
    figures = {
        "score_over_capacity": lambda path: capacity_figure(runs, path),
        "speed_over_score": lambda path: speed_figure(runs, path),
    }
    drawn = [name for name, draw in figures.items() if _draw(folder.output / f"{name}.png", draw)]
    seconds = cost(records)
    write_text(folder.output / "ablation.md", page(runs, drawn, folder.settings, seconds))
    run = read_run(folder.output)
    run |= seconds | {
        "sequences": list(records),
        "step_seconds": {run.name: run.totals["step_seconds"] for run in runs},
        "results": {run.name: run.settings | _outcome(run) for run in runs},
    }
    write_json(folder.file, run)


def csv_table(
    runs: list[Run], reports: dict[str, dict[str, SettingReport]], columns: Sequence[str]
) -> Table:
    """A row per sequence and setting, then "(mean)" of each setting: over the objects of all sequences.

    columns: of the scores, which are empty without ground truth.
    """
    rows = [
        _row(name, run, columns, run.per_sequence.get(name, {}), _totals([reports[run.name][name]]))
        for name in runs[0].sequences for run in runs
    ]
    rows += [_row("(mean)", run, columns, run.scores, run.totals) for run in runs]
    return Table("ablation", ["sequence", *OPTIONS, *columns, *DIGITS], rows)


def page(runs: list[Run], figures: list[str], settings: dict[str, Any], seconds: dict[str, float]) -> str:
    """ablation.md: the means, the figures drawn, every sequence."""
    first = runs[0]
    lines = [
        "# Memory banks ablated", "",
        f"{first.data}: {len(first.sequences)} sequences, {first.totals['frames']} frames; {_shared(runs, settings)}. "
        "Scores in per cent; FPS as of a single run: encoding the frame and the bank's own step, without files; held: "
        "memory entries over the cells of a frame. The best of each column is bold.", "",
        emphasised(bank_table(runs, None)).markdown(), "", *([] if first.scores else [UNSCORED, ""]),
    ]
    for name in figures:
        lines += [f"## {FIGURES[name]}", "", f"![{FIGURES[name]}]({name}.png)", ""]
    if 0 < len(first.per_sequence) <= LONGEST:
        per_sequence = sequence_table(runs)
        lines += [f"## {per_sequence.title}", "", per_sequence.markdown(), ""]
    return "\n".join([
        *lines, f"{describe(seconds)}.", "",
        "All numbers, per sequence: [ablation.csv](ablation.csv).", "",
    ])


def emphasised(table: Table) -> Table:
    """The table with the best number of each column in bold: the smallest for decay and frames held."""
    columns = [list(column) for column in zip(*table.rows, strict=True)]
    for title, column in list(zip(table.header, columns, strict=True))[table.words:]:
        numbers = [float(text) for text in column if text]
        best = (min if "Decay" in title or title in ("held: mean", "peak") else max)(numbers, default=None)
        column[:] = [f"**{text}**" if text and float(text) == best else text for text in column]
    return replace(table, rows=[list(row) for row in zip(*columns, strict=True)])


def _totals(reports: list[SettingReport]) -> dict[str, float]:
    """Over several sequences: frames / seconds, as `eval_davis.py` has them."""
    frames = sum(r.frames for r in reports)
    encoding, own = (sum(getattr(r, key) for r in reports) for key in ("encode_seconds", "step_seconds"))
    return {
        "frames": frames, "encode_seconds": encoding, "step_seconds": own, "fps": frames / (encoding + own),
        **held_in_all(reports),
    }


def _row(
    sequence: str, run: Run, columns: Sequence[str], scores: dict[str, float], totals: dict[str, float]
) -> list[str]:
    options = ("" if (value := run.settings[option]) is None else str(value) for option in OPTIONS)
    return [
        sequence, *options, *(f"{scores[column]:.6f}" if scores else "" for column in columns),
        *(f"{totals[column]:.{digits}f}" for column, digits in DIGITS.items()),
    ]


def _outcome(run: Run) -> dict[str, Any]:
    """What run.json keeps of a setting; scripts/report.py reads it."""
    return {"scores": run.scores, "totals": run.totals, "scores_per_sequence": run.per_sequence}


def _shared(runs: list[Run], settings: dict[str, Any]) -> str:
    """The options that all settings have in common, in words."""
    words = [settings["precision"], *labels(RuntimeOptions, settings, ["precision"])]
    for each in fields(MemoryOptions)[2:]:
        values = {value for run in runs if (value := run.settings[each.name]) is not None}
        mentioned = each.metadata["short"] is not None or values != {each.default}
        words += [label(each, *values)] if len(values) == 1 and values != {False} and mentioned else []
    return ", ".join(words)


def _draw(path: Path, draw: Callable[[Path], bool]) -> bool:
    """Whether there was anything to draw; if not, the figure of an earlier run is removed."""
    partial = path.with_name(f".partial-{path.name}")
    if draw(partial):
        os.replace(partial, path)
        return True
    path.unlink(missing_ok=True)
    return False
