"""The figure of speed and score, with a label at every point that covers no other."""

import math
from itertools import product
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from inference.report.pictures import pyplot
from inference.report.runs import Run

_DIRECTIONS = (0, 180, 90, 270, 45, 135, 315, 225)      # of a label from its point, in degrees, the best first
_DISTANCES = (7, 14, 24, 36, 50, 66, 84, 104, 126)      # in points


def speed_figure(runs: list[Run], path: Path) -> bool:
    """J&F over frames per second, a labeled point per run. Returns False and draws nothing without scored runs."""
    scored = [run for run in runs if not math.isnan(run.j_and_f)]
    if not scored:
        return False
    figure, axes = pyplot.subplots(figsize=(8, 5.5), dpi=120, layout="constrained")
    families = list(dict.fromkeys(run.family for run in scored if run.capacity))
    colors = [f"C{families.index(run.family)}" if run.capacity else "dimgray" for run in scored]   # the other figure's
    points = [(run.totals["fps"], 100 * run.j_and_f) for run in scored]
    speeds, scores = zip(*points, strict=True)
    axes.scatter(speeds, scores, c=colors)
    axes.set_xlabel("frames per second")
    axes.set_ylabel("J&F (per cent)")
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    figure.draw_without_rendering()
    _label(axes, points, [run.title for run in scored], colors)
    figure.savefig(path)
    pyplot.close(figure)
    return True


def _label(axes: Axes, points: list[tuple[float, float]], texts: list[str], colors: list[str]) -> None:
    """Put each text beside its point: at the first place inside the axes that covers no other point or text."""
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in axes.transData.transform(points)]
    for point, text, color in zip(points, texts, colors, strict=True):
        for distance, degrees in product(_DISTANCES, _DIRECTIONS):
            label = _annotate(axes, point, text, color, distance, math.radians(degrees))
            box = _box(label)
            inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
            if inside and not box.count_overlaps(taken):
                break
            label.remove()
        else:
            box = _box(_annotate(axes, point, text, color, _DISTANCES[0], 0))
        taken.append(box)


def _annotate(
    axes: Axes, point: tuple[float, float], text: str, color: str, distance: float, angle: float
) -> Annotation:
    dx, dy = distance * math.cos(angle), distance * math.sin(angle)
    near = distance == _DISTANCES[0]
    return axes.annotate(
        text, point, (dx, dy), textcoords="offset points", fontsize=7, color=color,
        ha="center" if abs(dx) < 1 else "left" if dx > 0 else "right",
        va="center" if abs(dy) < 1 else "bottom" if dy > 0 else "top",
        arrowprops=None if near else {"arrowstyle": "-", "linewidth": 0.5, "color": "gray"},
    )


def _box(label: Annotation) -> Bbox:
    """The box of the text alone, in pixels: with its line it would always cover its own point."""
    label.update_positions(label.figure.canvas.get_renderer())  # type: ignore[attr-defined]  # Agg's has it
    return Text.get_window_extent(label)
