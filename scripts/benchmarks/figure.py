"""The measurements of a run as one picture with a bar per line and a panel per section."""

from pathlib import Path

from matplotlib.figure import Figure

from scripts.benchmarks.measure import Measurement

PEAK = "peak MiB"      # a note that is drawn instead of the seconds


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
        medians = [m.median for m in group]
        spread = [[m.median - m.fastest for m in group], [m.slowest - m.median for m in group]]
        axes.barh([m.name for m in group], medians, xerr=spread, color="#4878a8", ecolor="#444444", capsize=2)
        axes.set(title=section, xscale="log", xlabel="seconds (median; whiskers: fastest and slowest)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
