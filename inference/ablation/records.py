"""What an ablation's folder remembers: `.records/<sequence>.json` says what each finished cell made of a sequence."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from dataset.files import write_text
from inference.ablation.settings import Cell
from inference.run.runner import RunError, RunFolder, versions, write_run
from inference.scoring.davis import ObjectScores, SequenceScores
from inference.scoring.metrics import statistics

COMMAND = "ablate"


@dataclass(frozen=True)
class CellReport:
    """What one cell made of one sequence, and what that took."""

    frames: int
    encode_seconds: float           # keys of all frames, shared by the cells of a pass
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
    """One time that a sequence's frames went through some cells in lockstep."""

    cells: list[str]
    encode_seconds: float
    step_seconds: float             # of all its cells
    wall_seconds: float             # everything, reading and scoring included


@dataclass
class SequenceRecord:
    """The passes over one sequence, and the reports of its finished cells by their names."""

    passes: list[Pass] = field(default_factory=list)
    cells: dict[str, CellReport] = field(default_factory=dict)

    def missing(self, cells: Iterable[Cell], folder: RunFolder, sequence: str, masks: bool) -> list[Cell]:
        """The cells not finished here, which with `masks` includes having written them."""
        def finished(name: str) -> bool:
            report = self.cells.get(name)
            if report is None or not masks:
                return report is not None
            return report.masks and cell_folder(folder, name, sequence).is_dir()
        return [cell for cell in cells if not finished(cell.name)]


def read_record(folder: RunFolder, sequence: str) -> SequenceRecord:
    """The record of a sequence, empty where there is none; raises RunError for one that is damaged."""
    path = folder.record(sequence)
    if not path.is_file():
        return SequenceRecord()
    try:
        content = json.loads(path.read_text())
        return SequenceRecord(
            [Pass(**entry) for entry in content["passes"]],
            {name: CellReport(**report) for name, report in content["cells"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RunError(f"{path}: expected the record of a sequence's cells, found something else; remove it, and the "
                       "sequence is run again") from None


def write_record(folder: RunFolder, sequence: str, record: SequenceRecord) -> None:
    folder.record(sequence).parent.mkdir(exist_ok=True)
    write_text(folder.record(sequence), json.dumps(asdict(record)) + "\n")


def cell_folder(folder: RunFolder, cell: str, sequence: str) -> Path:
    """Where a cell's masks of a sequence are written, if they are."""
    return replace(folder, masks=cell).results(sequence)


def open_ablation(
    folder: RunFolder, cells: Iterable[Cell], sequences: Iterable[str], masks: bool, overwrite: bool = False
) -> None:
    """Go on with the ablation in the folder where its settings are these; otherwise begin one.

    Raises RunError where the folder holds another run, unless `overwrite` and that is an ablation; and where folders
    that no ablation wrote are in the way of the masks.
    """
    earlier = _earlier_settings(folder)
    if earlier is not None:
        settings = json.loads(json.dumps(folder.settings))
        differing = [key for key in settings | earlier if settings.get(key) != earlier.get(key)]
        if differing and not (overwrite and "command" not in differing):
            key = differing[0]
            raise RunError(f"{folder.file}: holds a run with {key}={earlier.get(key)!r}, this one has "
                           f"{settings.get(key)!r}; choose another --output"
                           f"{', or give --overwrite' * (key != 'command')}")
        if not overwrite:
            return
        _clear(folder)
    for path in (cell_folder(folder, cell.name, name) for cell in cells for name in sequences if masks):
        if path.exists():
            raise RunError(f"{path}: expected no such folder before the run, found one that no run recorded; choose "
                           "another --output, or remove it")
    folder.output.mkdir(parents=True, exist_ok=True)
    write_run(folder, {"settings": folder.settings, "about": folder.about, "versions": versions()})


def _earlier_settings(folder: RunFolder) -> dict | None:
    if not folder.file.exists():
        return None
    try:
        return dict(json.loads(folder.file.read_text())["settings"])
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{folder.file}: expected the record of a run, found something else; choose another "
                       "--output") from None


def _clear(folder: RunFolder) -> None:
    """Remove what the earlier ablation recorded, and nothing else."""
    for path in (folder.output / ".records").glob("*.json"):
        for name, report in read_record(folder, path.stem).cells.items():
            if report.masks:
                shutil.rmtree(cell_folder(folder, name, path.stem), ignore_errors=True)
        path.unlink()
