"""A report of several runs over one data set: the thesis's table, the figure over capacity, pictures."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.masks import overlay, read_image, read_labels, write_image, write_labels
from inference.scoring import GLOBAL_COLUMNS, global_statistics, score_results

matplotlib.use("Agg")
from matplotlib import pyplot

TITLES = {"every_k": "every-{every}", "first_and_latest": "first-and-latest", "lfu": "LFU, {frames} frame{s}"}


@dataclass(frozen=True)
class Run:
    """One run folder, as far as a report needs it."""

    folder: Path
    title: str
    memory: str
    capacity: int | None
    scores: dict[str, float]          # the official columns, in [0, 1]
    per_sequence: dict[str, dict[str, float]]
    totals: dict[str, float]


def read_run(folder: Path) -> Run:
    """Read OUTPUT/run.json of a scored run; raises DatasetError where it is missing or has no scores."""
    file = folder / "run.json"
    try:
        content = json.loads(file.read_text())
        settings = content["settings"]
        scores, per_sequence = content["scores"], content["scores_per_sequence"]
    except FileNotFoundError:
        raise DatasetError(f"{file}: expected the record of a run, found none; is {folder} a run folder?") from None
    except (ValueError, KeyError):
        raise DatasetError(f"{file}: expected a finished, scored run; run the evaluation again") from None
    frames = settings["memory_frames"] or (2 if settings["memory"] == "lfu" else None)
    title = TITLES.get(settings["memory"], settings["memory"]).format(
        every=settings["memory_every"], frames=frames, s="" if frames == 1 else "s"
    )
    for flag, words in (("include_last", "+ last"), ("protect_first", "+ first kept")):
        title += f" {words}" if settings[flag] else ""
    title += " (softmax index)" if settings["index"] == "softmax" else ""
    return Run(folder, title, settings["memory"], frames, scores, per_sequence, content["totals"])


def table(runs: list[Run], copied: dict[str, float]) -> str:
    """The thesis's tables 1 and 3 as Markdown: scores in per cent, FPS, frames held; the baseline last."""
    header = ["memory bank", *(column.replace("-", " ") for column in GLOBAL_COLUMNS), "FPS", "held: mean", "peak"]
    rows = [
        [run.title, *_per_cent(run.scores), f"{run.totals['fps']:.1f}", f"{run.totals['frames_held_mean']:.1f}",
         f"{run.totals['frames_held_peak']:.0f}"]
        for run in runs
    ]
    rows.append(["first mask copied", *_per_cent(copied), "", "", ""])
    return _markdown([header, *rows])


def sequence_table(runs: list[Run]) -> str:
    """J&F of each sequence under each bank, in per cent."""
    def cell(run: Run, name: str) -> str:
        return f"{100 * run.per_sequence[name]['J&F-Mean']:.1f}" if name in run.per_sequence else "-"

    rows = [[name, *(cell(run, name) for run in runs)] for name in runs[0].per_sequence]
    return _markdown([["sequence", *(run.title for run in runs)], *rows])


def capacity_figure(runs: list[Run], path: Path) -> None:
    """J&F over the capacity of the LFU bank, other banks as lines (thesis, figure 11)."""
    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=120)
    bounded = sorted((run for run in runs if run.memory == "lfu"), key=lambda run: run.capacity)
    axes.plot([run.capacity for run in bounded], [100 * run.scores["J&F-Mean"] for run in bounded], "o-", label="LFU")
    for run, style in zip((run for run in runs if run.memory != "lfu"), ("--", ":", "-."), strict=False):
        label = f"{run.title} ({run.totals['frames_held_mean']:.1f} held)"
        axes.axhline(100 * run.scores["J&F-Mean"], linestyle=style, color="grey", label=label)
    axes.set_xticks([run.capacity for run in bounded])
    axes.set_xlabel("capacity of the memory bank (frames)")
    axes.set_ylabel("J&F (per cent)")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def picture(runs: list[Run], sequence: FolderSequence, path: Path, shown: int = 5) -> None:
    """Overlays of `shown` frames of one sequence: ground truth first, then a row per bank."""
    indices = np.linspace(0, len(sequence) - 1, shown).round().astype(int)
    frames = [(sequence.frame_names[index], read_image(sequence.frames[index])) for index in indices]
    rows = [("ground truth", [_truth(sequence, name) for name, _ in frames])]
    rows += [
        (run.title, [read_labels(run.folder / sequence.name / f"{name}.png") for name, _ in frames]) for run in runs
    ]
    height, width = frames[0][1].shape[:2]
    figure, axes = pyplot.subplots(
        len(rows), shown, figsize=(2.6 * shown, 2.6 * shown * len(rows) * height / (width * shown) + 0.4),
        dpi=100, squeeze=False,
    )
    for (title, masks), line in zip(rows, axes, strict=True):
        for (name, image), labels, cell in zip(frames, masks, line, strict=True):
            cell.imshow(overlay(image, labels))
            cell.set_xticks([])
            cell.set_yticks([])
            if line is axes[0]:
                cell.set_title(f"{sequence.name} {name}", fontsize=8)
        line[0].set_ylabel(title, fontsize=8)
    figure.tight_layout(pad=0.3)
    figure.savefig(path)
    pyplot.close(figure)


def copied_first_mask(sequences: list[FolderSequence], folder: Path) -> dict[str, float]:
    """Scores of repeating each sequence's first mask on every frame: what any method has to beat."""
    for sequence in sequences:
        (sequence_folder := folder / sequence.name).mkdir(parents=True, exist_ok=True)
        first = _truth(sequence, sequence.frame_names[0])
        for name in sequence.frame_names:
            write_labels(sequence_folder / f"{name}.png", first)
    truths = {sequence.name: sequence.ground_truth for sequence in sequences}
    return global_statistics(score_results(truths, folder, sequences[0].binary, progress=False))


def write_overlay(run: Run, sequence: FolderSequence, path: Path, at: float = 0.6) -> None:
    """One large overlay of a run's result, `at` a share of the sequence."""
    index = int(at * (len(sequence) - 1))
    labels = read_labels(run.folder / sequence.name / f"{sequence.frame_names[index]}.png")
    write_image(path, overlay(read_image(sequence.frames[index]), labels))


def _truth(sequence: FolderSequence, name: str) -> np.ndarray:
    labels = read_labels(sequence.ground_truth[name])
    return (labels > 0).astype(np.uint8) if sequence.binary else labels


def _per_cent(scores: dict[str, float]) -> list[str]:
    return ["-" if math.isnan(scores[column]) else f"{100 * scores[column]:.1f}" for column in GLOBAL_COLUMNS]


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if index == 0 else ":") for index, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
