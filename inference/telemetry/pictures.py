"""Figures of what a memory bank kept: survivors on the frames they come from, usage over age, occupancy over time."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from dataset.masks import overlay
from inference.telemetry.frames import Explained, outline
from inference.telemetry.moments import Moment

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import FormatStrFormatter

DPI = 130
COLORS, AGES = pyplot.get_cmap("viridis"), pyplot.get_cmap("YlGnBu_r")      # of usage; of source frames, by age
NEW, LEFT = (0.70, 0.75, 0.98), (0.90, 0.10, 0.15)      # entries no read has seen yet; those evicted just now
_GROUPS = 24                                   # bands of source frames in the area chart
_FIRST = "#d9480f"                             # the first frame written


def draw_figures(clip: Explained, folder: Path, scored: bool) -> None:
    """Write the three figures of a sequence into `folder`, if anything was written to its bank."""
    if clip.telemetry.moments:
        survivors_figure(clip, folder / f"{clip.name}-survivors.png")
        usage_figure(clip, folder / f"{clip.name}-usage.png", scored)
        occupancy_figure(clip, folder / f"{clip.name}-occupancy.png")


def survivors_figure(clip: Explained, path: Path, moments: int = 5, sources: int = 7) -> None:
    """What the bank held at several writes (rows), painted on the past frames that it comes from (columns).

    A cell's color is its uses per frame since its write; pale blue: written just now; red: evicted by this write.
    Columns: the first frame written, then the frames that held most of the bank at the moments shown.
    """
    shown = _spread(clip.telemetry.moments, moments)
    columns = _main_sources(shown, sources)
    norm = LogNorm(*_rate_range(shown), clip=True)
    height, width = clip.telemetry.size
    across = 1.75
    figure, axes = pyplot.subplots(
        len(shown), 1 + len(columns), squeeze=False, dpi=DPI,
        figsize=(across * (1 + len(columns)) + 0.9, (across * height / width + 0.2) * len(shown) + 0.5),
    )
    figure.set_layout_engine("constrained", w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for moment, row in zip(shown, axes, strict=True):
        _now(row[0], clip, moment)
        for source, place in zip(columns, row[1:], strict=True):
            _source(place, clip, moment, source, norm)
    axes[0, 0].set_title("segmented frame", fontsize=8, pad=3)
    for source, place in zip(columns, axes[0, 1:], strict=True):
        place.set_title(f"from frame {source}", fontsize=8, pad=3)
    bar = figure.colorbar(ScalarMappable(norm, COLORS), ax=axes, shrink=0.6, aspect=30, pad=0.01)
    bar.set_label("uses per frame since the write", fontsize=8)
    bar.ax.tick_params(labelsize=7, which="both")
    for ticks in (bar.ax.yaxis.set_major_formatter, bar.ax.yaxis.set_minor_formatter):
        ticks(FormatStrFormatter("%.3g"))
    figure.suptitle(f"{clip.name}: entries held, on the frames they come from (pale blue: written just now; "
                    "red: evicted by this write)", fontsize=9)
    figure.savefig(path)
    pyplot.close(figure)


def usage_figure(clip: Explained, path: Path, scored: bool) -> None:
    """Uses over age of every entry at the last write that evicted some, or at the end if none did.

    scored: whether the policy is the thesis's (score = uses / age). Then its eviction line is drawn: the highest score
    that was evicted.
    """
    moments = clip.telemetry.moments
    moment = next((moment for moment in reversed(moments) if len(moment.evicted)), moments[-1])
    age = np.maximum(moment.frame - moment.rows["written"], 1)
    tried, left, shows = moment.rows["written"] < moment.frame, moment.rows["left"], moment.rows["owner"] > 0
    jitter = np.random.default_rng(0).uniform(-0.8, 0.8, len(age))
    figure, axes = pyplot.subplots(figsize=(7, 4.5), dpi=DPI, layout="constrained")
    for chosen, color, size, label in (
        (~left & ~shows, "#9aa5b1", 5, "stays, background"), (left & ~shows, "#f4a6a0", 5, "leaves, background"),
        (~left & shows, "#1864ab", 11, "stays, on an object"), (left & shows, LEFT, 11, "leaves, on an object"),
    ):
        chosen = chosen & tried
        axes.scatter((age + jitter)[chosen], moment.rows["uses"][chosen], size, color=color, linewidths=0,
                     label=f"{label} ({chosen.sum()})")
    if scored and left.any():
        score = moment.rates[left].max()
        ages = np.linspace(1, age[tried].max() + 2, 200)
        axes.plot(ages, score * ages, "k--", linewidth=1, label=f"eviction line: {score:.3g} uses per frame")
    if (moment.rows["uses"][tried] == 0).any():
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=-0.3)
    else:
        axes.set_yscale("log")
    axes.set_xlabel("age: video frames since the write")
    axes.set_ylabel("uses: memberships in a query cell's top-k")
    axes.set_title(f"{clip.name}: the entries that competed at frame {moment.frame}", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, markerscale=1.5)
    figure.savefig(path)
    pyplot.close(figure)


def occupancy_figure(clip: Explained, path: Path) -> None:
    """Over time: entries by the frame they come from, shares (first frame, never used, J), entries on objects."""
    lines = clip.telemetry.lines
    time = np.arange(len(lines))
    figure, (area, shares, objects) = pyplot.subplots(
        3, 1, figsize=(8, 7), dpi=DPI, sharex=True, layout="constrained", height_ratios=(3, 2, 1.5)
    )
    labels, bands = _bands(lines)
    colors = [_FIRST, *AGES(np.linspace(0.05, 0.9, max(1, len(bands) - 1)))]
    area.stackplot(time, bands, colors=colors[: len(bands)], linewidth=0.3, edgecolor="white", step="post")
    area.set_ylabel("entries held")
    area.set_title(f"{clip.name}: entries held, by the frame they come from (orange: frame {labels[0]}; then "
                   "dark to light: older to newer)", fontsize=9)
    for key, label, color in (
        ("first_hits", "of the top-k on the first frame", _FIRST), ("first_mass", "of its softmax mass", "#f08c00"),
        ("never_used", "of the entries never used", "#495057"),
    ):
        shares.plot(time, [np.nan if line[key] is None else line[key] for line in lines], label=label, color=color)
    if clip.accuracy:
        shares.plot(list(clip.accuracy), list(clip.accuracy.values()), label="J of the mask", color="#2b8a3e",
                    linestyle="--")
    shares.set_ylim(-0.02, 1.02)
    shares.set_ylabel("share")
    shares.legend(fontsize=7, ncols=2)
    _objects(objects, lines)
    objects.set_xlabel("video frame")
    for axes in (shares, objects):
        axes.grid(alpha=0.25)
    figure.savefig(path)
    pyplot.close(figure)


def _spread(moments: list[Moment], count: int) -> list[Moment]:
    """Up to `count` of the moments, evenly spread; the first write, which is all new, only if there is no other."""
    later = moments[1:] or moments
    return [later[i] for i in np.unique(np.linspace(0, len(later) - 1, count).round().astype(int))]


def _main_sources(moments: list[Moment], count: int) -> list[int]:
    """The first frame held and the frames with most entries at the moments, not counting new entries."""
    held = [moment.survivors["written"] for moment in moments]
    sources, entries = np.unique(
        np.concatenate([written[written < moment.frame] for written, moment in zip(held, moments, strict=True)]),
        return_counts=True,
    )
    first = min(int(written.min()) for written in held)
    most = sources[np.argsort(-entries, kind="stable")].tolist()
    return sorted([first, *[source for source in most if source != first][: count - 1]])


def _rate_range(moments: list[Moment]) -> tuple[float, float]:
    """Limits of the color scale: the middle 96 % of the rates above 0."""
    rates = np.concatenate([moment.rates for moment in moments])
    rates = rates[rates > 0]
    low, high = np.quantile(rates, (0.02, 0.98)) if len(rates) else (0.1, 1.0)
    return low, max(high, 1.01 * low)


def _now(axes: Axes, clip: Explained, moment: Moment) -> None:
    """The segmented frame with its mask, and what the bank holds in words."""
    axes.imshow(overlay(clip.picture(moment.frame), clip.labels(moment.frame)))
    _bare(axes)
    accuracy = f", J {100 * clip.accuracy[moment.frame]:.0f}" if moment.frame in clip.accuracy else ""
    axes.set_ylabel(f"frame {moment.frame}{accuracy}\n{len(moment.survivors)} held", fontsize=7.5)


def _source(axes: Axes, clip: Explained, moment: Moment, source: int, norm: LogNorm) -> None:
    """Entries of one past frame, painted on it in gray with its mask's outline; empty before its write."""
    _bare(axes)
    if source > moment.frame:
        axes.set_facecolor("#f1f3f5")
        axes.set_box_aspect(clip.telemetry.size[0] / clip.telemetry.size[1])
        return
    of_source = moment.rows["written"] == source
    rows, rates = moment.rows[of_source], moment.rates[of_source]
    colors = np.zeros((clip.telemetry.grid[0] * clip.telemetry.grid[1], 4))
    colors[rows["cell"]] = COLORS(norm(rates), alpha=0.7)
    colors[rows["cell"][rows["written"] == moment.frame]] = (*NEW, 0.55)
    colors[rows["cell"][rows["left"]]] = (*LEFT, 0.55)
    image = clip.picture(source)
    gray = 0.55 * np.repeat(image.mean(2, keepdims=True), 3, axis=2) / 255
    cells = colors[clip.cell_of(image.shape[:2])]
    painted = gray * (1 - cells[..., 3:]) + cells[..., :3] * cells[..., 3:]
    painted[outline(clip.labels(source))] = 1
    axes.imshow(painted.clip(0, 1))
    stays, shows = ~rows["left"], rows["owner"] > 0
    axes.set_xlabel(f"{stays.sum()} held, {(stays & shows).sum()} on objects", fontsize=7, labelpad=2)


def _bands(lines: list[dict[str, Any]]) -> tuple[list[int], np.ndarray]:
    """(first source of each band, entries [bands, frames]): the first frame alone, then at most _GROUPS more."""
    sources = sorted({int(source) for line in lines for source in line["sources"]})
    others = np.array_split(sources[1:], min(_GROUPS, max(1, len(sources) - 1)))
    groups = [group for group in [sources[:1], *(part.astype(int).tolist() for part in others)] if group]
    band_of = {source: band for band, group in enumerate(groups) for source in group}
    bands = np.zeros((len(groups), len(lines)))
    for frame, line in enumerate(lines):
        for source, entries in line["sources"].items():
            bands[band_of[int(source)], frame] += entries
    return [group[0] for group in groups], bands


def _objects(axes: Axes, lines: list[dict[str, Any]]) -> None:
    """Stored entries that show an object or lie beside it, over time."""
    numbers = sorted({int(number) for line in lines for number in line["objects"]})
    for number in numbers:
        color = f"C{(number - 1) % 10}"
        for key, of, style in (("objects", "", "-"), ("first_objects", ", first frame", "--")):
            entries = [line[key].get(str(number), 0) for line in lines]
            axes.plot(entries, style, color=color, label=f"object {number}{of}", drawstyle="steps-post")
    axes.set_ylabel("entries on objects")
    axes.set_ylim(bottom=0)
    if 0 < len(numbers) < 6:
        axes.legend(fontsize=7, ncols=2)


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
