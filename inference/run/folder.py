"""A run's folder: where its files lie, how it begins, and when it resumes.

It holds one folder of masks per finished sequence and `run.json`; `.records/<sequence>.json` marks a finished
sequence. Nothing that no run wrote is ever replaced.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataset.folder import FolderSequence
from inference.errors import RunError
from inference.run.record import FILE, read_run, refuse_other_settings, write_json
from inference.run.versions import versions
from inference.run.writer import SequenceWriter
from inference.telemetry.recorder import Recorder, remove, telemetry_paths
from inference.views import ViewSegmenter

OTHER_FOLDER = "choose another --output, or give --overwrite"


@dataclass(frozen=True)
class RunFolder:
    """Where a run's files lie, and what it was asked to do."""

    output: Path
    settings: dict[str, Any]      # what the masks depend on: a run resumes only if all of these match
    about: dict[str, Any]         # what else a reader may want to know: paths, device
    masks: str = ""               # folder of masks below `output`
    overlays: bool = False
    telemetry: bool = False       # record what the bank holds; the masks do not depend on it
    black_and_white: bool = False     # masks of 0 and 255

    @property
    def file(self) -> Path:
        return self.output / FILE

    def record(self, sequence: str) -> Path:
        return self.output / ".records" / f"{sequence}.json"

    def results(self, sequence: str) -> Path:
        return self.output / self.masks / sequence

    def writer(self, sequence: str) -> SequenceWriter:
        overlays = self.output / "overlays" / sequence if self.overlays else None
        return SequenceWriter(self.results(sequence), overlays, self.black_and_white)

    def recorder(self, sequence: FolderSequence, segmenter: ViewSegmenter) -> Recorder | None:
        """Observes the first view's bank; None if no telemetry is asked for."""
        if not self.telemetry:
            return None
        size = segmenter.views[0].size(*sequence.size)
        return Recorder(segmenter.segmenters[0].memory, self.output / "telemetry", sequence.name, size)

    def left_by(self, sequence: str) -> list[Path]:
        """Folders and files that a finished sequence leaves."""
        overlays = [self.output / "overlays" / sequence] if self.overlays else []
        telemetry = telemetry_paths(self.output / "telemetry", sequence) if self.telemetry else []
        return [self.results(sequence), *overlays, *telemetry]

    def finished(self, sequence: str) -> bool:
        """Whether all that is asked for is there. If only telemetry is missing, the same masks are made again."""
        return self.record(sequence).is_file() and all(path.exists() for path in self.left_by(sequence))

    def open(self, sequences: Iterable[str], overwrite: bool = False) -> None:
        """Resume the run in the folder if its settings are these; otherwise begin one.

        Raises RunError if the folder holds a run with other settings, unless `overwrite`, and if files or folders that
        no run recorded have the names of results; DatasetError if its run.json is damaged.
        """
        if self.file.exists() and not overwrite:
            refuse_other_settings(self.file, self.earlier_settings(OTHER_FOLDER), self.settings, OTHER_FOLDER)
            return
        self._remove_earlier()
        self.begin(path for name in sequences for path in self.left_by(name))

    def earlier_settings(self, damaged: str) -> dict[str, Any]:
        """The settings of the run in the folder."""
        settings: dict[str, Any] = read_run(self.output, damaged=damaged)["settings"]
        return settings

    def begin(self, results: Iterable[Path]) -> None:
        """Write a new run.json. Raises RunError if one of `results` exists already."""
        for path in results:
            if path.exists():
                raise RunError(f"{path}: expected no such folder or file before the run, found one that no run "
                               "recorded; choose another --output, or remove it")
        self.output.mkdir(parents=True, exist_ok=True)
        write_json(self.file, self.heading())

    def heading(self) -> dict[str, Any]:
        """What run.json begins with."""
        return {"settings": self.settings, "about": self.about, "versions": versions()}

    def _remove_earlier(self) -> None:
        """Remove what an earlier run recorded, and nothing else."""
        for record in (self.output / ".records").glob("*.json"):
            for path in replace(self, overlays=True, telemetry=True).left_by(record.stem):
                remove(path)
            record.unlink()
