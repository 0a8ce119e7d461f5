"""The measurements of a run as one picture with a bar per line and a row per section."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.benchmarks.measure import Measurement

PEAK = "peak MiB"      # a note that has a panel of its own


def draw(measurements: list[Measurement], path: Path) -> None:
    """Medians as bars, fastest and slowest run as whiskers, seconds on a logarithmic axis; peak memory beside them."""
    sections = list(dict.fromkeys(measurement.section for measurement in measurements))
    groups = [[m for m in measurements if m.section == section and "gain" not in m.name] for section in sections]
    columns = 2 if any(PEAK in m.notes for m in measurements) else 1
    figure = Figure(figsize=(9, 1 + sum(0.6 + 0.3 * len(group) for group in groups)), layout="constrained")
    rows = figure.subplots(len(groups), columns, squeeze=False, height_ratios=[1 + len(group) for group in groups])
    for panels, section, group in zip(rows, sections, groups, strict=True):
        medians = [m.median for m in group]
        spread = [[m.median - m.fastest for m in group], [m.slowest - m.median for m in group]]
        panels[0].barh([m.name for m in group], medians, xerr=spread, color="#4878a8", ecolor="#444444", capsize=2)
        panels[0].set(title=section, xscale="log")
        for axes in panels[1:]:
            _draw_peaks(axes, group)
        for axes in panels:
            axes.invert_yaxis()
            axes.grid(axis="x", alpha=0.3)
    rows[-1, 0].set_xlabel("seconds (median; whiskers: fastest and slowest)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw_peaks(axes: Axes, group: list[Measurement]) -> None:
    """Peak memory of the measurements that have it."""
    peaks = [float(m.notes.get(PEAK, 0)) for m in group]
    if any(peaks):
        axes.barh([m.name for m in group], peaks, color="#c08040")
        axes.set(title="peak memory", xlabel="MiB", yticklabels=[])
    else:
        axes.set_axis_off()
