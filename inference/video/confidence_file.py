"""confidence.csv: a row per frame and object, complete up to the last frame at any time."""

import csv
from pathlib import Path

from dataset.files import file_named_in_errors
from inference.video.result import Result

HEADER = ("frame", "object", "area", "confidence", "state")


class ConfidenceFile:
    """Creates the file. area: pixels. confidence: 0 to 1. state: absent, uncertain or present."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with file_named_in_errors(path):
            self._file = open(path, "w", newline="", encoding="utf-8")    # noqa: SIM115   # closed by `close`
        self._write([HEADER])

    def write(self, result: Result) -> None:
        """Append the rows of a frame, and hand them to the system."""
        if result.quality is None:
            return
        quality = result.quality
        rows = zip(result.objects, quality.area.tolist(), quality.confidence.tolist(), quality.state, strict=True)
        self._write([(result.frame.name, number, int(area), f"{confidence:.4f}", state)
                     for number, area, confidence, state in rows])

    def close(self) -> None:
        with file_named_in_errors(self.path):
            self._file.close()

    def _write(self, rows: list[tuple[object, ...]]) -> None:
        with file_named_in_errors(self.path):
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
