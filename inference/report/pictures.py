"""The pictures of a report: the score over the bank's capacity, masks of several banks on the same frames."""

import textwrap
from itertools import cycle
from operator import itemgetter
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image

from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.masks import overlay, read_image, read_labels, write_image, write_labels
from inference.report.protocol import departures
from inference.report.runs import Run
from inference.scoring.davis import global_statistics, score_results

matplotlib.use("Agg")
from matplotlib import pyplot as pyplot  # exported: imported from here, it draws without a window

DPI = 150
SPAN = 5        # points of J&F that a figure shows at least: differences of tenths shall not look large


def capacity_figure(runs: list[Run], path: Path) -> bool:
    """J&F over the capacity of the bounded banks, the others as horizontal lines (thesis, figure 11).

    Runs of one bank by different protocols (`inference.report.protocol`) are lines of their own. Returns False and
    draws nothing if no scored run has a bounded bank.
    """
    scored = [run for run in runs if run.j_and_f == run.j_and_f]
    bounded = sorted(((run.capacity, run) for run in scored if run.capacity), key=itemgetter(0))
    if not bounded:
        return False
    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=120)
    lines = _lines(scored)
    for line in dict.fromkeys(lines[run.name] for run in scored if run.capacity):
        points = [(capacity, 100 * run.j_and_f) for capacity, run in bounded if lines[run.name] == line]
        axes.plot(*zip(*points, strict=True), "o-", label=line)
    for run, style in zip((run for run in scored if not run.capacity), cycle(("--", ":", "-.")), strict=False):
        label = f"{run.title} ({run.totals['frames_held_mean']:.1f} held)"
        axes.axhline(100 * run.j_and_f, linestyle=style, color="gray", label=label)
    axes.set_xticks(sorted({capacity for capacity, _ in bounded}))
    axes.set_xlabel("capacity of the memory bank (frames)")
    axes.set_ylabel("J&F (per cent)")
    low, high = axes.get_ylim()
    missing = max(0.0, SPAN - (high - low))
    axes.set_ylim(low - missing / 2, high + missing / 2)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
    return True


def picture(runs: list[Run], sequence: FolderSequence, path: Path, numbers: list[int] | None = None) -> None:
    """Ground truth and a row per bank on the frames `numbers`, or five over the sequence (thesis, figures 9, 10).

    Raises DatasetError for a frame that the sequence lacks, and for masks of another size.
    """
    indices = _indices(sequence, numbers)
    names = [sequence.frame_names[index] for index in indices]
    images = [read_image(sequence.frames[index]) for index in indices]
    rows = [("ground truth", [_truth(sequence, name) for name in names])]
    rows += [
        (run.title, [_result(run, sequence, *frame) for frame in zip(names, images, strict=True)]) for run in runs
    ]
    height, width = images[0].shape[:2]
    across = 2.6 if len(names) > 2 else 4.0
    down = across * height / width
    figure, axes = pyplot.subplots(
        len(rows), len(names), figsize=(across * len(names) + 0.4, down * len(rows) + 0.2), dpi=DPI, squeeze=False,
    )
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    for (title, masks), line in zip(rows, axes, strict=True):
        for image, labels, place in zip(images, masks, line, strict=True):
            place.imshow(_small_overlay(image, labels, round(across * DPI)))
            place.set(xticks=[], yticks=[])
            place.spines[:].set_visible(False)
        line[0].set_ylabel(textwrap.fill(title, round(12 * down)), fontsize=8)
    for name, place in zip(names, axes[0], strict=True):
        place.set_title(f"{sequence.name} {name}", fontsize=8, pad=3)
    figure.savefig(path)
    pyplot.close(figure)


def write_overlay(run: Run, sequence: FolderSequence, path: Path, at: float = 0.6) -> None:
    """One large overlay of a run's result, at the share `at` of the sequence."""
    index = int(at * (len(sequence) - 1))
    image = read_image(sequence.frames[index])
    write_image(path, overlay(image, _result(run, sequence, sequence.frame_names[index], image)))


def copied_first_mask(sequences: list[FolderSequence], folder: Path) -> dict[str, float]:
    """Scores of repeating each sequence's first mask on every frame: what any method has to beat."""
    for sequence in sequences:
        (sequence_folder := folder / sequence.name).mkdir(parents=True, exist_ok=True)
        first = _truth(sequence, sequence.frame_names[0])
        for name in sequence.frame_names:
            write_labels(sequence_folder / f"{name}.png", first)
    truths = {sequence.name: sequence.ground_truth for sequence in sequences}
    return global_statistics(score_results(truths, folder, sequences[0].binary, progress=False))


def _lines(runs: list[Run]) -> dict[str, str]:
    """Name of a run -> the line of the figure over capacity that it belongs to."""
    words = {run.name: ", ".join(departures(run)) for run in runs}
    several = len(set(words.values())) > 1
    return {run.name: ", ".join(filter(None, [run.family, words[run.name] if several else ""])) for run in runs}


def _indices(sequence: FolderSequence, numbers: list[int] | None, shown: int = 5) -> list[int]:
    """Frame numbers -> indices: by file name if files are numbered, otherwise by position."""
    if numbers is None:
        spread: list[int] = np.linspace(0, len(sequence) - 1, shown).round().astype(int).tolist()
        return spread
    names = sequence.frame_names
    known = {int(name) if name.isdecimal() else index: index for index, name in enumerate(names)}
    if missing := [n for n in numbers if n not in known]:
        raise DatasetError(f"{sequence.frames[0].parent}: expected frame {missing[0]} (--frames), found frames "
                           f"{min(known)} to {max(known)}; give others, or choose with --sequences")
    return [known[n] for n in numbers]


def _small_overlay(image: np.ndarray, labels: np.ndarray, width: int) -> np.ndarray:
    """An overlay at most `width` wide: shrunk first, so that its outlines stay a pixel wide."""
    if (factor := width / labels.shape[1]) < 1:
        size = width, max(1, round(factor * labels.shape[0]))
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
        labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
    return overlay(image, labels)


def _truth(sequence: FolderSequence, name: str) -> np.ndarray:
    if name not in sequence.ground_truth:
        raise DatasetError(f"sequence {sequence.name}: expected the annotation of frame {name}, found none; picture "
                           "a split with full annotations")
    labels = read_labels(sequence.ground_truth[name])
    return (labels > 0).astype(np.uint8) if sequence.binary else labels


def _result(run: Run, sequence: FolderSequence, name: str, image: np.ndarray) -> np.ndarray:
    path = run.folder / sequence.name / f"{name}.png"
    if not path.is_file():
        raise DatasetError(f"{path}: expected the mask of this frame, found none; choose sequences that all runs "
                           "have with --sequences")
    labels, (height, width) = read_labels(path), image.shape[:2]
    if labels.shape != (height, width):
        raise DatasetError(f"{path}: expected {width}x{height} pixels, the size of its frame, found "
                           f"{labels.shape[1]}x{labels.shape[0]}; is --davis-root the data of this run?")
    return labels
