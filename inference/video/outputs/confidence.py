"""confidence.csv: a row per frame and object, complete up to the last frame at any time."""

import csv
from typing import TextIO

from dataset.files import file_named_in_errors
from inference.video.output_folder import OutputFolder
from inference.video.outputs.output import Output
from inference.video.result import Result

HEADER = ("frame", "object", "area", "confidence", "state")


class Confidence(Output):
    """area: pixels. confidence: 0 to 1. state: absent, uncertain or present. No file if results have no quality."""

    name = "confidence.csv"

    def __init__(self, folder: OutputFolder, fps: float) -> None:
        super().__init__(folder, fps)
        self._file: TextIO | None = None

    def write(self, result: Result) -> None:
        """Append the rows of a frame, and hand them to the system."""
        if result.quality is None:
            return
        quality = result.quality
        rows = zip(result.objects, quality.area.tolist(), quality.confidence.tolist(), quality.state, strict=True)
        self._write([(result.frame.name, number, int(area), f"{confidence:.4f}", state)
                     for number, area, confidence, state in rows])

    def finish(self) -> None:
        if self._file is not None:
            with file_named_in_errors(self.folder.root / self.name):
                self._file.close()

    def _write(self, rows: list[tuple[object, ...]]) -> None:
        with file_named_in_errors(self.folder.root / self.name):
            if self._file is None:
                self._file = open(self.folder.new(self.name), "w", newline="", encoding="utf-8")    # noqa: SIM115
                rows = [HEADER, *rows]
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
