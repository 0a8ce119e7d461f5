"""What an ablation's folder remembers: `.records/<sequence>.json` holds the reports of a sequence's finished settings.

Of several processes, the first one writes there, the others to `.records/<rank>/<sequence>.json`, until the first one
collects these. In the files, a setting is called a cell.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.ablation.settings import name_of
from inference.memory import MemoryOptions
from inference.run.folder import OTHER_FOLDER, RunFolder
from inference.run.record import read_record, refuse_other_settings
from inference.run.submission import ARCHIVE, MASKS
from inference.scoring.davis import ObjectScores, SequenceScores
from inference.scoring.metrics import statistics

COMMAND = "ablate"


@dataclass(frozen=True)
class SettingReport:
    """What one setting made of one sequence, and what that took."""

    frames: int
    encode_seconds: float           # keys of all frames, shared by the settings of a pass
    step_seconds: float             # its own: memory read, decoding, value encoding, label maps
    frames_held_mean: float         # entries / HW, after each frame
    frames_held_peak: float
    bytes_held_peak: int
    masks: bool                     # whether they were written
    scores: dict[int, tuple[list[float], list[float]]]     # object -> J and F of the scored frames
    held: list[float] = field(default_factory=list)        # memory frames after each frame; not of older records
    step_ms: list[float] = field(default_factory=list)     # its own milliseconds, frame by frame

    def sequence_scores(self, sequence: str) -> SequenceScores:
        objects = {
            int(number): ObjectScores(j, f, statistics(j), statistics(f)) for number, (j, f) in self.scores.items()
        }
        return SequenceScores(sequence, [], objects, [])


@dataclass(frozen=True)
class Pass:
    """One time that a sequence's frames went through some settings in lockstep."""

    settings: list[str]             # their names
    encode_seconds: float
    step_seconds: float             # of all its settings
    wall_seconds: float             # everything, reading and scoring included


@dataclass
class SequenceRecord:
    """The passes over one sequence, and the reports of its finished settings by their names."""

    passes: list[Pass] = field(default_factory=list)
    reports: dict[str, SettingReport] = field(default_factory=dict)

    def add(self, passes: Iterable[Pass], reports: Mapping[str, SettingReport]) -> None:
        """Add finished settings. A pass that is here already is not added again."""
        self.passes += [done for done in passes if done not in self.passes]
        self.reports |= reports

    def missing(
        self, settings: Iterable[MemoryOptions], folder: RunFolder, sequence: str, masks: bool
    ) -> list[MemoryOptions]:
        """The settings not finished here, which with `masks` includes having written them."""
        def finished(name: str) -> bool:
            report = self.reports.get(name)
            if report is None or not masks:
                return report is not None
            return report.masks and mask_folder(folder, name, sequence).is_dir()
        return [setting for setting in settings if not finished(name_of(setting))]


def read_sequence(folder: RunFolder, sequence: str, rank: int = 0) -> SequenceRecord:
    """The record of a sequence, empty if there is none; raises DatasetError if it is damaged."""
    path, remedy = _file(folder, sequence, rank), "remove it, and the sequence is run again"
    if not path.is_file():
        return SequenceRecord()
    content = read_record(path, "a sequence's settings", ["passes", "cells"], remedy, remedy)
    try:
        return SequenceRecord(
            [Pass(entry.pop("cells"), **entry) for entry in content["passes"]],
            {name: SettingReport(**report) for name, report in content["cells"].items()},
        )
    except (KeyError, TypeError, AttributeError):
        raise DatasetError(f"{path}: expected the record of a sequence's settings, found something else; "
                           f"{remedy}") from None


def write_sequence(folder: RunFolder, sequence: str, record: SequenceRecord, rank: int = 0) -> None:
    _file(folder, sequence, rank).parent.mkdir(parents=True, exist_ok=True)
    passes = [{"cells": done.pop("settings"), **done} for done in map(asdict, record.passes)]
    reports = {name: asdict(report) for name, report in record.reports.items()}
    write_text(_file(folder, sequence, rank), json.dumps({"passes": passes, "cells": reports}) + "\n")


def collect(folder: RunFolder) -> None:
    """Move what other processes than the first recorded into the records of the first, also after a stop."""
    for path in sorted((folder.output / ".records").glob("*/*.json")):
        record, found = read_sequence(folder, path.stem), read_sequence(folder, path.stem, int(path.parent.name))
        record.add(found.passes, found.reports)
        write_sequence(folder, path.stem, record)
        path.unlink()
    for empty in (folder.output / ".records").glob("*/"):
        shutil.rmtree(empty)


def setting_folder(folder: RunFolder, setting: str) -> RunFolder:
    """The folder of a setting's masks, in the layout of the ablation's."""
    return replace(folder, masks="/".join(filter(None, [setting, folder.masks])))


def mask_folder(folder: RunFolder, setting: str, sequence: str) -> Path:
    """Where a setting's masks of a sequence are written, if they are."""
    return setting_folder(folder, setting).results(sequence)


def open_ablation(
    folder: RunFolder, settings: Iterable[MemoryOptions], sequences: Iterable[str], masks: bool,
    overwrite: bool = False,
) -> None:
    """Resume the ablation in the folder if its options are these; otherwise begin one.

    Raises RunError if the folder holds another run, unless `overwrite` and that is an ablation; and if folders that
    no ablation recorded have the names of masks.
    """
    if folder.file.exists():
        other = "choose another --output"
        earlier = folder.earlier_settings(other)
        refuse_other_settings(folder.file, {"command": earlier.get("command")}, {"command": COMMAND}, other)
        if not overwrite:
            refuse_other_settings(folder.file, earlier, folder.settings, OTHER_FOLDER)
            collect(folder)
            return
        _clear(replace(folder, masks=MASKS if "youtube_root" in earlier else ""))
    folder.begin(mask_folder(folder, name_of(setting), name) for setting in settings for name in sequences if masks)


def _clear(folder: RunFolder) -> None:
    """Remove what the earlier ablation recorded, and nothing else."""
    collect(folder)
    for path in (folder.output / ".records").glob("*.json"):
        for name, report in read_sequence(folder, path.stem).reports.items():
            if report.masks:
                shutil.rmtree(mask_folder(folder, name, path.stem), ignore_errors=True)
                (folder.output / name / ARCHIVE).unlink(missing_ok=True)
        path.unlink()


def _file(folder: RunFolder, sequence: str, rank: int) -> Path:
    file = folder.record(sequence)
    return file.parent / str(rank) / file.name if rank else file
