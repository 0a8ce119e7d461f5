"""What a report reads of run folders: run.json, and the per-sequence CSV of eval_davis.py.

A folder of scripts/ablate.py holds one run per setting of the memory bank.
"""

import csv
import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset.benchmarks import SPLITS, TITLES
from dataset.errors import DatasetError
from inference.memory import POLICIES
from inference.memory.labels import bank_labels, bank_title
from inference.options import labels
from inference.run.record import read_run
from inference.scoring.benchmarks import rule_of
from inference.scoring.davis import GLOBAL_COLUMNS
from inference.views import ViewOptions

YOUTUBE_COLUMNS = ("J&F", "J-seen", "J-unseen", "F-seen", "F-unseen")
_ABLATION = "ablate"


@dataclass(frozen=True)
class Run:
    """What a report needs to know of one run folder."""

    folder: Path
    name: str                                    # its label, or the folder's name: unique in a report
    title: str                                   # its label, or the memory bank in words: unique for its data
    family: str                                  # the bank in words, without the capacity
    capacity: int | None                         # frames
    data: str                                    # "DAVIS 2016 val", "DAVIS 2017 val", "YouTube-VOS valid", ...
    year: int | None                             # of DAVIS
    settings: dict[str, Any]
    totals: dict[str, float]
    sequences: list[str]
    scores: dict[str, float]                     # in [0, 1]; empty without ground truth
    per_sequence: dict[str, dict[str, float]]    # the same for each sequence; empty without ground truth
    objects: dict[str, dict[str, float]]         # "bike-packing_2" -> J-Mean, F-Mean
    about: dict[str, Any] = field(default_factory=dict)     # weights, device and versions, as recorded

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its scores, the main one (J&F; of VOST J) first."""
        if "benchmark" in self.settings:
            return rule_of(self.settings["benchmark"]).columns
        return GLOBAL_COLUMNS if self.year else YOUTUBE_COLUMNS

    @property
    def j_and_f(self) -> float:
        """NaN if there are no scores."""
        return self.scores.get(self.columns[0], math.nan)

    @property
    def slug(self) -> str:
        """The name as a part of file names."""
        return re.sub(r"[^\w.+-]+", "-", self.name)


def read_runs(folders: list[Path], labels: list[str] | None = None) -> list[Run]:
    """Read run folders. `labels` are RUN=NAME, where RUN is a folder as given, or its name.

    The settings of an ablation are runs of their own; their label goes before their names.

    Raises DatasetError for a folder without a finished run, a label without a run, and a run given twice.
    """
    names: dict[Path, str] = {}
    for label in labels or []:
        run, _, name = label.rpartition("=")
        named = [folder for folder in folders if folder == Path(run) or folder.name == run]
        if not named or not name:
            raise DatasetError(f"--label {label}: expected RUN=NAME with one of the run folders, found "
                               f"{', '.join(map(str, folders))}; write --label {folders[0]}=NAME")
        names |= dict.fromkeys(named, name)
    return _told_apart([run for folder in folders for run in _read_folder(folder, names.get(folder))])


def by_data(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs of each data set, in the order of their first runs."""
    return {data: [run for run in runs if run.data == data] for data in dict.fromkeys(run.data for run in runs)}


def _told_apart(runs: list[Run]) -> list[Run]:
    """Folders of one name get their parent's before it; banks of one title over one data set, their names behind."""
    slugs = Counter(run.slug for run in runs)
    runs = [
        replace(run, name=f"{run.folder.resolve().parent.name}-{run.name}") if slugs[run.slug] > 1 else run
        for run in runs
    ]
    slug, times = Counter(run.slug for run in runs).most_common(1)[0]
    if times > 1:
        folder = next(run.folder for run in runs if run.slug == slug)
        raise DatasetError(f"{folder}: expected each run under its own name, found {times} named {slug}; "
                           "give it once, or tell them apart with --label RUN=NAME")
    titles = Counter((run.data, run.title) for run in runs)
    return [
        replace(run, title=f"{run.title} ({run.name})") if titles[run.data, run.title] > 1 else run for run in runs
    ]


def _read_folder(folder: Path, label: str | None) -> list[Run]:
    """The run in a folder, or the runs of an ablation."""
    content = read_run(folder)
    try:
        if content["settings"]["command"] == _ABLATION:
            return [_setting_of(folder, label, content, name) for name in content["results"]]
        return [_run_of(folder, label, content)]
    except (KeyError, TypeError, AttributeError):
        raise DatasetError(f"{folder / 'run.json'}: expected a finished, scored run, found no complete record of one; "
                           "run the evaluation again") from None


def _run_of(folder: Path, label: str | None, content: dict[str, Any]) -> Run:
    """A run from its run.json; raises KeyError, TypeError or AttributeError if that is incomplete."""
    settings, totals = content["settings"], content["totals"]
    scores = _numbers(content.get("scores") or {})
    per_sequence = {name: _numbers(row) for name, row in (content.get("scores_per_sequence") or {}).items()}
    sequences = list(per_sequence or content["sequences"])       # those that were scored
    family, capacity = _bank(settings)
    davis = not is_youtube(settings) and "benchmark" not in settings
    if not (totals["frames"] and (not davis or scores.keys() >= set(GLOBAL_COLUMNS))):
        raise KeyError("scores")
    return Run(
        folder, label or folder.resolve().name, label or _title(family, capacity), family, capacity,
        data_of(settings), settings.get("year", 2017) if davis else None, settings, totals, sequences, scores,
        per_sequence, _objects(folder / f"per-sequence_results-{settings.get('split', 'val')}.csv"),
        {**content.get("about", {}), **content.get("versions", {})},
    )


def _setting_of(folder: Path, label: str | None, content: dict[str, Any], name: str) -> Run:
    """A setting of an ablation as a run; `name` is also its folder of masks."""
    result = dict(content["results"][name])
    outcome = {key: result.pop(key) for key in ("totals", "scores", "scores_per_sequence")}
    settings = content["settings"] | {key: value for key, value in result.items() if value is not None}
    run = _run_of(folder / name, None, content | outcome | {"settings": settings})
    return replace(run, name=f"{label}-{name}", title=f"{label}: {run.title}") if label else run


def _numbers(scores: dict[str, float | None]) -> dict[str, float]:
    """Scores with NaN for null, which JSON has in its place."""
    return {column: math.nan if value is None else value for column, value in scores.items()}


def _bank(settings: dict[str, Any]) -> tuple[str, int | None]:
    """The memory bank in words, such as "LFU (softmax index)", and its capacity."""
    words = [*bank_labels(settings), *labels(ViewOptions, settings, ["short_side", "resize"])]
    policy = POLICIES.get(settings["memory"])
    capacity = settings.get("memory_frames") or (policy.default_frames if policy else None)
    return bank_title(settings) + (f" ({', '.join(words)})" if words else ""), capacity


def _title(family: str, capacity: int | None) -> str:
    if capacity is None:
        return family
    bank, space, rest = family.partition(" ")
    return f"{bank}, {capacity} frame{'s' * (capacity != 1)}{space}{rest}"


def is_youtube(settings: dict[str, Any]) -> bool:
    """Whether a run or an ablation is over YouTube-VOS, or a folder laid out like it."""
    return settings["command"] == "eval_youtube" or "youtube_root" in settings


def data_of(settings: dict[str, Any]) -> str:
    """The data of a run in words: "DAVIS 2017 val"."""
    if benchmark := settings.get("benchmark"):
        return f"{TITLES[benchmark]} {settings.get('split') or ''.join(SPLITS[benchmark][:1])}".strip()
    if is_youtube(settings):
        return f"YouTube-VOS {settings.get('split', 'valid')}"
    resolution = settings.get("resolution", "480p")
    other = "" if resolution == "480p" else f", {resolution}"
    return f"DAVIS {settings.get('year', 2017)} {settings.get('split', 'val')}{other}"


def _objects(file: Path) -> dict[str, dict[str, float]]:
    """J and F of every object, from the official per-sequence CSV; nothing if there is no such file."""
    if not file.is_file():
        return {}
    try:
        with open(file, newline="") as lines:
            return {
                row["Sequence"]: {column: float(row[column]) for column in ("J-Mean", "F-Mean")}
                for row in csv.DictReader(lines)
            }
    except (KeyError, TypeError, ValueError):
        raise DatasetError(f"{file}: expected the columns Sequence, J-Mean, F-Mean with numbers, found something "
                           "else; score the run again") from None
