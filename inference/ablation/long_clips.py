"""An ablation over long synthetic clips as tables and a figure: scores over time beside memory and time held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.errors import DatasetError
from dataset.files import write_text
from dataset.synthetic_events import read_events
from inference.ablation.records import SettingReport, read_sequence
from inference.report.pictures import DPI, pyplot
from inference.report.runs import read_runs
from inference.report.tables import Table, number, percent
from inference.run.folder import RunFolder
from inference.run.record import read_run
from inference.scoring.long_clips import COLUMNS, LongScores, binned, long_columns

BINS = 25               # points of a curve


@dataclass(frozen=True)
class LongSetting:
    """One setting of the memory bank on all clips: its scores, its reports, and the titles of its line."""

    name: str                        # the memory bank in words
    scores: dict[str, LongScores]
    reports: dict[str, SettingReport]

    def curves(self) -> dict[str, np.ndarray]:
        """J&F (per cent), memory frames held and milliseconds a frame over time; means over the clips."""
        length = min(clip.log.length for clip in self.scores.values())
        width = max(1, -(-(length - 2) // BINS))
        points = -(-(length - 2) // width)
        scores = [100 * clip.over_time(width)[:points] for clip in self.scores.values()]
        held = [binned(np.array(report.held[1:-1]), width)[:points] for report in self.reports.values()]
        step = [binned(np.array(report.step_ms[1:-1]), width)[:points] for report in self.reports.values()]
        frames = np.minimum(1 + width * (np.arange(points) + 0.5), length)
        means = [np.mean(each, 0) for each in (scores, held, step)]
        return dict(zip(("frame", "J&F", "frames held", "ms a frame"), (frames, *means), strict=True))


def read_settings(run: Path, root: Path) -> list[LongSetting]:
    """The settings of an ablation over the clips in `root`, those that finished all clips.

    Raises DatasetError if the folder holds no ablation, or one of other clips or without the values of each frame.
    """
    read_run(run, ["command"])
    clips = sorted(path.stem for path in (run / ".records").glob("*.json"))
    records = {clip: read_sequence(RunFolder(run, {}, {}), clip).reports for clip in clips}
    names = [name for name in next(iter(records.values()), {}) if all(name in each for each in records.values())]
    if not names:
        raise DatasetError(f"{run}: expected an ablation that finished a setting on all clips, found none; run "
                           "scripts/ablate.py over the clips")
    logs = {clip: read_events(root, clip) for clip in clips}
    for clip in clips:
        if len(records[clip][names[0]].held) != logs[clip].length:
            raise DatasetError(f"{run}: expected the values of {logs[clip].length} frames of {clip}, found "
                               f"{len(records[clip][names[0]].held)}; run scripts/ablate.py again over these clips")
    titles = {setting.name: setting.title for setting in read_runs([run])}
    return [
        LongSetting(
            titles.get(name, name), {clip: LongScores(logs[clip], _by_number(records[clip][name])) for clip in clips},
            {clip: records[clip][name] for clip in clips},
        ) for name in names
    ]


def long_table(settings: Sequence[LongSetting]) -> Table:
    """A row per setting: scores in per cent, memory frames held and milliseconds a frame."""
    header = ["setting", *COLUMNS, "held: mean", "peak", "MB", "ms a frame", "last tenth"]
    rows = []
    for setting in settings:
        columns, reports = long_columns(setting.scores.values()), list(setting.reports.values())
        frames = sum(report.frames for report in reports)
        late = np.concatenate([np.array(report.step_ms[-max(1, report.frames // 10):]) for report in reports])
        rows.append([
            setting.name, *(percent(columns[column]) for column in COLUMNS),
            number(sum(report.frames_held_mean * report.frames for report in reports) / frames, 1),
            number(max(report.frames_held_peak for report in reports), 1),
            number(max(report.bytes_held_peak for report in reports) / 1e6, 0),
            number(1000 * sum(report.step_seconds for report in reports) / frames, 0), number(late.mean(), 0),
        ])
    return Table("long", header, rows)


def return_table(settings: Sequence[LongSetting]) -> Table:
    """A row per return of an object: the clip, when it returned, how long it was gone, and J&F after it."""
    rows = []
    for clip in settings[0].scores:
        columns = [{(each.object, each.start): each for each in setting.scores[clip].returns()} for setting in settings]
        for key, first in columns[0].items():
            rows.append([clip, str(first.object), str(first.start), str(first.gone),
                         *(percent(column[key].score if key in column else None) for column in columns)])
    header = ["clip", "object", "frame", "gone", *(setting.name for setting in settings)]
    return Table("returns", header, rows, "After each return (J&F)")


def curve_table(settings: Sequence[LongSetting]) -> Table:
    """A row per setting and point of time."""
    rows = [
        [setting.name, f"{curves['frame'][index]:.0f}", *(number(float(curves[key][index]), 3) for key in
                                                         ("J&F", "frames held", "ms a frame"))]
        for setting in settings for curves in [setting.curves()] for index in range(len(curves["frame"]))
    ]
    return Table("curves", ["setting", "frame", "J&F", "frames held", "ms a frame"], rows)


def long_figure(settings: Sequence[LongSetting], path: Path) -> None:
    """Three panels over the frames of the clips: J&F, memory frames held, milliseconds a frame; a line per setting."""
    figure, panels = pyplot.subplots(3, 1, figsize=(9, 10), sharex=True, dpi=DPI)
    colors = pyplot.get_cmap("tab20")
    for index, setting in enumerate(settings):
        curves = setting.curves()
        style = {"color": colors(index % 20), "linestyle": ("-", "--", ":")[index // 20 % 3], "label": setting.name}
        for panel, key in zip(panels, ("J&F", "frames held", "ms a frame"), strict=True):
            panel.plot(curves["frame"], curves[key], **style)
    for panel, label in zip(panels, ("J&F (per cent)", "memory frames held", "ms a frame"), strict=True):
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
    panels[1].set_yscale("log", base=2)
    panels[-1].set_xlabel("frame")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=7)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.02 * (1 + len(settings) // 4)))
    figure.savefig(path)
    pyplot.close(figure)


def write_long_report(settings: Sequence[LongSetting], output: Path) -> None:
    """OUTPUT/long.md with the table, long.png, and CSV files: long, returns (each return), curves."""
    output.mkdir(parents=True, exist_ok=True)
    tables: Mapping[str, Table] = {table.name: table for table in
                                   (long_table(settings), return_table(settings), curve_table(settings))}
    for name, table in tables.items():
        write_text(output / f"{name}.csv", table.csv())
    long_figure(settings, output / "long.png")
    clips = list(settings[0].scores.values())
    lengths = " to ".join(dict.fromkeys(str(get(clip.log.length for clip in clips)) for get in (min, max)))
    lines = ["# Long clips", "", f"{len(clips)} clips of {lengths} frames. Scores in per cent.", "",
             tables["long"].markdown(), "", "![J&F, memory held and time over the frames](long.png)", ""]
    write_text(output / "long.md", "\n".join(lines))


def _by_number(report: SettingReport) -> dict[int, tuple[list[float], list[float]]]:
    """In JSON, the numbers of the objects are text."""
    return {int(number): scores for number, scores in report.scores.items()}
