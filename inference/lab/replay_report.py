"""A replay's results for readers: CSV, Markdown, figure. Each file appears complete or not at all."""

import os
from collections import defaultdict
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np

from dataset.files import write_text
from inference.lab.contestant import AGES
from inference.lab.replay import BOUND, CLAIRVOYANT, QUALITY_ROWS, UNBOUNDED, Result
from inference.report.pictures import pyplot
from inference.report.tables import Table, number

AGE_COLUMNS = (*(f"age<={limit}" for limit in AGES), f"age>{AGES[-1]}")
MEASURES: dict[str, Callable[[Result], float | None]] = {
    "retained": lambda result: result.outcome.retained_mass,
    "of bound": lambda result: result.outcome.retained_mass / result.bound if result.bound else None,
    "agreement": lambda result: result.outcome.agreement,
    "propagation J": lambda result: result.outcome.propagation_j,
}
MAIN = ("retained", "propagation J")
_STYLES = {BOUND: ("black", "--"), CLAIRVOYANT: ("black", "-"), UNBOUNDED: ("gray", ":")}


def write_page(folder: Path, results: list[Result]) -> None:
    """Write lab.csv, lab.md and lab.png."""
    write_text(folder / "lab.csv", csv_table(results).csv())
    partial = folder / ".partial-lab.png"
    draw(results, partial)
    os.replace(partial, folder / "lab.png")
    write_text(folder / "lab.md", page(results))


def csv_table(results: list[Result]) -> Table:
    """A row per video, policy and capacity."""
    header = ["sequence", "policy", "memory", "memory_frames", "index", "retained mass", "bound", "of bound",
              "agreement", "propagation J", *AGE_COLUMNS]
    rows = []
    for result in results:
        outcome = result.outcome
        numbers = (
            outcome.retained_mass, result.bound, MEASURES["of bound"](result), outcome.agreement,
            outcome.propagation_j, *(outcome.ages or [None] * len(AGE_COLUMNS)),
        )
        words = (result.sequence, result.policy, result.memory, result.memory_frames, result.index)
        rows.append([*("" if word is None else str(word) for word in words), *(number(x, 6) for x in numbers)])
    return Table("lab", header, rows)


def means(results: list[Result], measure: str) -> dict[str, dict[int | None, float]]:
    """Policy -> capacity -> mean over the videos with this measure."""
    values: dict[str, dict[int | None, list[float]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        if (value := MEASURES[measure](result)) is not None:
            values[result.policy][result.memory_frames].append(value)
    return {
        policy: {frames: float(np.mean(column)) for frames, column in line.items()} for policy, line in values.items()
    }


def mean_table(results: list[Result]) -> Table:
    """A row per policy and capacity, highest retained attention first; means over videos, in per cent."""
    found = {measure: means(results, measure) for measure in MEASURES}
    retained = found["retained"]
    order = sorted(
        (frames or 0, -value, policy, frames) for policy, line in retained.items() for frames, value in line.items()
    )
    rows = []
    for _, _, policy, frames in order:
        values = [found[measure].get(policy, {}).get(frames) for measure in MEASURES]
        ages = [r.outcome.ages for r in results if (r.policy, r.memory_frames) == (policy, frames) and r.outcome.ages]
        values += np.mean(ages, axis=0).tolist() if ages else [None] * len(AGE_COLUMNS)
        rows.append([policy, str(frames or "none"), *(number(None if x is None else 100 * x, 1) for x in values)])
    return Table("lab", ["policy", "frames", *MEASURES, *AGE_COLUMNS], rows)


def capacity_table(results: list[Result], measure: str) -> Table:
    """A measure of MEASURES, a row per policy and a column per capacity, the best first; means, in per cent."""
    found = means(results, measure)
    capacities = sorted({frames for line in found.values() for frames in line if frames})
    names = sorted(found, key=lambda policy: -float(np.mean(list(found[policy].values()))))
    rows = []
    for name in names:
        line = found[name]
        values = [line.get(frames, line.get(None)) for frames in capacities]       # no capacity: the same at all
        rows.append([name, *(number(None if value is None else 100 * value, 1) for value in values)])
    return Table(measure, [f"{measure}, at frames", *map(str, capacities)], rows)


def page(results: list[Result]) -> str:
    """lab.md: what is measured, the figure, the main measures by capacity, the table of means."""
    videos = list(dict.fromkeys(result.sequence for result in results))
    told = [row for row in QUALITY_ROWS if any(result.policy == row for result in results)]
    note = [f"{', '.join(told)}: told the quality of the masks that the unbounded bank makes, not of their own.", ""]
    return "\n".join([
        "# Memory policies replayed over keys", "",
        f"Means over {len(videos)} videos ({', '.join(videos)}), in per cent. Retained: share of the unbounded bank's "
        "attention whose entries are still held at that read; of bound: over the most that any bank of that capacity "
        "can retain; agreement: of the labels read with those that the unbounded bank reads; propagation J: of the "
        "first frame's mask carried on at stride 16; age: shares of the entries held by their age in frames. "
        f"{CLAIRVOYANT}: forgets what the rest of the video attends to least.", "", *(note if told else []),
        "![Retained attention and propagation J over the capacity](lab.png)", "",
        *(text for measure in MAIN for text in (capacity_table(results, measure).markdown(), "")),
        "## All measures", "", mean_table(results).markdown(), "", "Per video: [lab.csv](lab.csv).", "",
    ])


def draw(results: list[Result], path: Path) -> None:
    """Retained mass and propagation J over the capacity, a line per policy."""
    panels = {"retained": "attention mass retained (per cent)", "propagation J": "propagation J (per cent)"}
    figure, all_axes = pyplot.subplots(1, 2, figsize=(12, 5), dpi=120, layout="constrained")
    order = means(results, "retained")
    names = sorted(order, key=lambda policy: -float(np.mean(list(order[policy].values()))))
    colors = dict(zip((name for name in names if name not in _STYLES), cycle(pyplot.get_cmap("tab20")(range(20))),
                      strict=False))
    for axes, (measure, label) in zip(all_axes, panels.items(), strict=True):
        lines = means(results, measure)
        for name, marker in zip(names, cycle("osv^Dp<>"), strict=False):
            color, style = _STYLES[name] if name in _STYLES else (colors[name], "-")
            points = sorted((frames, 100 * value) for frames, value in lines.get(name, {}).items() if frames)
            if points:
                axes.plot(*zip(*points, strict=True), color=color, linestyle=style, marker=marker, markersize=4,
                          label=name)
            elif None in lines.get(name, {}):
                axes.axhline(100 * lines[name][None], color=color, linestyle=":", label=name)
        axes.set_xticks(sorted({result.memory_frames for result in results if result.memory_frames}))
        axes.set_xlabel("capacity of the memory bank (frames)")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(path)
    pyplot.close(figure)
