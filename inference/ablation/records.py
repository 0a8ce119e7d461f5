"""What an ablation's folder remembers: `.records/<sequence>.json` holds the reports of a sequence's finished settings.

In the files, a setting is called a cell.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.ablation.settings import name_of
from inference.memory import MemoryOptions
from inference.run.folder import OTHER_FOLDER, RunFolder
from inference.run.record import read_record, refuse_other_settings
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


def read_sequence(folder: RunFolder, sequence: str) -> SequenceRecord:
    """The record of a sequence, empty if there is none; raises DatasetError if it is damaged."""
    path, remedy = folder.record(sequence), "remove it, and the sequence is run again"
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


def write_sequence(folder: RunFolder, sequence: str, record: SequenceRecord) -> None:
    folder.record(sequence).parent.mkdir(exist_ok=True)
    passes = [{"cells": done.pop("settings"), **done} for done in map(asdict, record.passes)]
    reports = {name: asdict(report) for name, report in record.reports.items()}
    write_text(folder.record(sequence), json.dumps({"passes": passes, "cells": reports}) + "\n")


def mask_folder(folder: RunFolder, setting: str, sequence: str) -> Path:
    """Where a setting's masks of a sequence are written, if they are."""
    return replace(folder, masks=setting).results(sequence)


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
            return
        _clear(folder)
    folder.begin(mask_folder(folder, name_of(setting), name) for setting in settings for name in sequences if masks)


def _clear(folder: RunFolder) -> None:
    """Remove what the earlier ablation recorded, and nothing else."""
    for path in (folder.output / ".records").glob("*.json"):
        for name, report in read_sequence(folder, path.stem).reports.items():
            if report.masks:
                shutil.rmtree(mask_folder(folder, name, path.stem), ignore_errors=True)
        path.unlink()
