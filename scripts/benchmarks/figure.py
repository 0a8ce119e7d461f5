"""The measurements of a run as one picture with a bar per line and a panel per section."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.benchmarks.measure import Measurement
from scripts.benchmarks.parts import PARTS

PEAK = "peak MiB"      # a note that is drawn instead of the seconds
COLORS = dict(zip(PARTS, ("#4878a8", "#e0a040", "#c05050", "#909090"), strict=True))


def draw(measurements: list[Measurement], path: Path) -> None:
    """Medians as bars, fastest and slowest run as whiskers, seconds on a logarithmic axis; or peak memory as bars."""
    sections = list(dict.fromkeys(measurement.section for measurement in measurements))
    groups = [[m for m in measurements if m.section == section and "gain" not in m.name] for section in sections]
    figure = Figure(figsize=(9, 1 + sum(0.6 + 0.3 * len(group) for group in groups)), layout="constrained")
    panels = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[1 + len(group) for group in groups])[:, 0]
    for axes, section, group in zip(panels, sections, groups, strict=True):
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
        if all(PEAK in m.notes for m in group):
            axes.barh([m.name for m in group], [float(m.notes[PEAK]) for m in group], color="#c08040")
            axes.set(title=section, xlabel="peak memory, MiB")
            continue
        if all(PARTS[0] in m.notes for m in group):
            _stack(axes, group)
            continue
        medians = [m.median for m in group]
        spread = [[m.median - m.fastest for m in group], [m.slowest - m.median for m in group]]
        axes.barh([m.name for m in group], medians, xerr=spread, color="#4878a8", ecolor="#444444", capsize=2)
        axes.set(title=section, xscale="log", xlabel="seconds (median; whiskers: fastest and slowest)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _stack(axes: Axes, group: list[Measurement]) -> None:
    """The mean seconds of each part of a frame, one after the other."""
    left = [0.0] * len(group)
    for part, color in COLORS.items():
        widths = [float(m.notes[part]) for m in group]
        axes.barh([m.name for m in group], widths, left=left, color=color, label=part)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    axes.set(title="where the time of a frame goes", xlabel="seconds (mean)")
    axes.legend(loc="lower right")
