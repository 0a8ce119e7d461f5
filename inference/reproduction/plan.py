"""What to run for the tables and figures asked for, and what cannot be run, with the flag that would change that."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from inference.errors import RunError
from inference.options import Options, option
from inference.reproduction.experiments import Experiment, Item, experiments_of
from inference.runtime import RuntimeOptions
from model.errors import CheckpointError

NETWORK = "network.pth"                  # of a run folder of train.py


@dataclass(frozen=True)
class SourceOptions(Options):
    """The data and the weights, and where the runs go."""

    output: Path = option(help="folder for the runs and the page", metavar="DIR")
    davis_root: Path | None = option(None, "DAVIS: folder with JPEGImages, Annotations and ImageSets", metavar="DIR")
    youtube_root: Path | None = option(None, "YouTube-VOS: the folder valid", metavar="DIR")
    all_frames_root: Path | None = option(
        None, "YouTube-VOS: the folder valid_all_frames, as in the published results", metavar="DIR")
    ground_truth: Path | None = option(
        None, "labels of YouTube-VOS valid, if you have them: folder of <video>/<frame>.png", metavar="DIR")
    seen_from: Path | None = option(
        None, "meta.json of YouTube-VOS train, whose categories are the seen ones; with --ground-truth", metavar="META")
    resize: Literal["area", "stcn"] = option(
        "stcn", "frames of YouTube-VOS: stcn: as STCN's code resizes them; area: as eval_youtube.py does by default")
    weights: Path | None = option(
        None, "network without a regularizer, such as stcn.pth, or a run folder of train.py", metavar="FILE")
    dropout_weights: Path | None = option(
        None, "network trained with dropout (configs/video_dropout.yaml), or its run folder", metavar="FILE")
    reallocation_weights: Path | None = option(
        None, "network trained with reallocation (configs/video_reallocation.yaml), or its run folder", metavar="FILE")
    server_scores: Path | None = option(
        None, "CSV of the scores that the YouTube-VOS server gave: run (the name of its folder), overall, j_seen, "
        "f_seen, j_unseen, f_unseen", metavar="CSV")

    def weights_of(self, role: str) -> Path | None:
        """The weights file of a role: main, dropout or reallocation. Raises CheckpointError for a folder without one.

        A name such as "compact" is returned as it is.
        """
        path: Path | None = getattr(self, _field_of(role))
        if path is None or not path.is_dir():
            return path
        if not (path / NETWORK).is_file():
            raise CheckpointError(f"{path}: expected weights, or a run folder of train.py with {NETWORK}, found a "
                                  f"folder without it; check {_flag(_field_of(role))}")
        return path / NETWORK


@dataclass(frozen=True)
class PlannedRun:
    """A run that can be done: `arguments` are those of its command."""

    experiment: Experiment
    folder: Path
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The items asked for, the runs to do, each once, and why other runs that they need cannot be done."""

    items: list[Item]
    runs: list[PlannedRun]
    lacking: dict[Experiment, str]


def make_plan(items: list[Item], sources: SourceOptions, runtime: RuntimeOptions) -> Plan:
    """Raises RunError if nothing can be run, and CheckpointError for a folder without weights."""
    runs, lacking = [], {}
    for experiment in experiments_of(items):
        if flags := _flags_lacking(experiment, sources):
            lacking[experiment] = f"no {' and no '.join(flags)}"
        else:
            runs.append(planned_run(experiment, sources, runtime))
    if not runs:
        reasons = ", ".join(dict.fromkeys(lacking.values()))
        raise RunError(f"{', '.join(item.label for item in items)}: expected the data and the weights of one run at "
                       f"least, found {reasons}; give these flags")
    return Plan(items, runs, lacking)


def planned_run(experiment: Experiment, sources: SourceOptions, runtime: RuntimeOptions) -> PlannedRun:
    """The command line of a run."""
    folder = sources.output / experiment.name
    words: list[object] = []
    if experiment.youtube:
        words += ["--youtube-root", sources.youtube_root, "--resize", sources.resize, "--zip"]
        for name in ("all_frames_root", "ground_truth", "seen_from"):
            words += [_flag(name), value] if (value := getattr(sources, name)) is not None else []
    else:
        words += ["--davis-root", sources.davis_root, "--year", experiment.data_set.year]
    words += ["--weights", sources.weights_of(experiment.how.weights), *flags_of(experiment.how.bank)]
    words += [*flags_of(changed(runtime)), "--output", folder]
    return PlannedRun(experiment, folder, tuple(map(str, words)))


def changed(options: Options) -> dict[str, Any]:
    """The options that differ from their defaults."""
    return {each.name: value for each in fields(options) if (value := getattr(options, each.name)) != each.default}


def flags_of(values: Mapping[str, object]) -> list[str]:
    """The flags that give a command these values by option name; None and False need none."""
    words: list[str] = []
    for name, value in values.items():
        if value is not None and value is not False:
            words += [_flag(name), *([] if value is True else [str(value)])]
    return words


def _flags_lacking(experiment: Experiment, sources: SourceOptions) -> list[str]:
    root = "youtube_root" if experiment.youtube else "davis_root"
    needed = [root, _field_of(experiment.how.weights)]
    return [_flag(name) for name in needed if getattr(sources, name) is None]


def _field_of(role: str) -> str:
    return "weights" if role == "main" else f"{role}_weights"


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
