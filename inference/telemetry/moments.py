"""What a bank held at some moments of a video, entry by entry: recorded in bounded memory, stored in one .npz file.

A moment is recorded at a frame whose write changed the bank, and at the last frame: every entry held after the write,
and every entry that this write evicted. The file's arrays, for M moments with S rows in all:
    frame [M]        video frames of the moments, ascending
    start [M + 1]    moment i is rows start[i] to start[i + 1]
    written, cell    [S] the frame at which an entry was written, and its raster index in `grid`
    uses, age        [S] top-k memberships since the write, summed over query cells; video frames since the write
    owner            [S] 1 + the object it shows, by order of appearance; 0: none (or a temporary frame)
    left             [S] whether this write evicted it; the others are the survivors
    grid, size       (h, w) cells of a frame; (H, W) pixels of the frames shown to the network, padded evenly to cells
If there are many writes, only every second, fourth, ... one is recorded: at most MOMENTS moments with at most ROWS
rows in all, but always two moments.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dataset.errors import DatasetError
from dataset.files import file_named_in_errors
from model.geometry import grid_size

MOMENTS, ROWS = 128, 2**20
COLUMNS = {"written": "i4", "cell": "i4", "uses": "i4", "owner": "u1", "left": "?"}
ROW = np.dtype(list(COLUMNS.items()))


@dataclass(frozen=True)
class Moment:
    """The bank at one frame: `rows` [n] of ROW, the survivors and, marked `left`, entries evicted at this frame."""

    frame: int
    rows: np.ndarray

    @property
    def survivors(self) -> np.ndarray:
        survivors: np.ndarray = self.rows[~self.rows["left"]]
        return survivors

    @property
    def evicted(self) -> np.ndarray:
        evicted: np.ndarray = self.rows[self.rows["left"]]
        return evicted

    @property
    def rates(self) -> np.ndarray:
        """Uses over age (at least 1) of every row: the score of the thesis's index `topk`."""
        rates: np.ndarray = self.rows["uses"] / np.maximum(self.frame - self.rows["written"], 1)
        return rates


class MomentLog:
    """Collects the moments of one video. size: (H, W) of the frames that the network is shown."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.moments: list[Moment] = []
        self._writes, self._every = 0, 1

    def add(self, frame: int, survivors: np.ndarray, evicted: np.ndarray) -> None:
        """A write changed the bank; both arrays are of ROW."""
        if self._writes % self._every == 0:
            self.moments.append(_moment(frame, survivors, evicted))
        self._writes += 1
        while len(self.moments) > 2 and (
            len(self.moments) > MOMENTS or sum(len(moment.rows) for moment in self.moments) > ROWS
        ):
            self.moments = self.moments[::2]
            self._every *= 2

    def finish(self, frame: int, survivors: np.ndarray) -> None:
        """The video ends at `frame`."""
        if len(survivors) and self.moments[-1].frame != frame:
            self.moments.append(_moment(frame, survivors, survivors[:0]))

    def save(self, path: Path) -> None:
        """Write the file described above."""
        rows = np.concatenate([np.zeros(0, ROW), *(moment.rows for moment in self.moments)])
        lengths = [len(moment.rows) for moment in self.moments]
        frames = np.array([moment.frame for moment in self.moments], np.int32)
        arrays: dict[str, Any] = {
            "frame": frames, "start": np.cumsum([0, *lengths], dtype=np.int32),
            "age": np.repeat(frames, lengths) - rows["written"], "grid": grid_size(self.size), "size": self.size,
            **{column: rows[column] for column in COLUMNS},
        }
        with file_named_in_errors(path), open(path, "wb") as file:
            np.savez_compressed(file, **arrays)


@dataclass(frozen=True)
class SequenceTelemetry:
    """What a run recorded of one sequence."""

    sequence: str
    lines: list[dict[str, Any]]      # one per frame: `inference.telemetry.recorder.describe_frame`
    moments: list[Moment]
    grid: tuple[int, int]            # (h, w)
    size: tuple[int, int]            # (H, W)

    def moment_at(self, frame: int) -> Moment | None:
        """The latest moment up to a frame; None before the first."""
        return next((moment for moment in reversed(self.moments) if moment.frame <= frame), None)


def read_telemetry(folder: Path, sequence: str) -> SequenceTelemetry:
    """Read OUTPUT/telemetry back; raises DatasetError for files that are missing or damaged."""
    lines = folder / f"{sequence}.jsonl"
    try:
        content = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
        if [line["frame"] for line in content] != list(range(len(content))):
            raise ValueError("frames are missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unusable(lines, "a line of JSON per frame", error) from None
    file = folder / f"{sequence}.npz"
    try:
        with np.load(file) as arrays:
            rows = np.zeros(len(arrays["written"]), ROW)
            for column in COLUMNS:
                rows[column] = arrays[column]
            parts = np.split(rows, arrays["start"][1:-1]) if len(arrays["frame"]) else []
            moments = [Moment(*moment) for moment in zip(arrays["frame"].tolist(), parts, strict=True)]
            grid, size = (tuple(arrays[name].tolist()) for name in ("grid", "size"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _unusable(file, "the moments of a sequence", error) from None
    return SequenceTelemetry(sequence, content, moments, grid, size)


def _moment(frame: int, survivors: np.ndarray, evicted: np.ndarray) -> Moment:
    """Rows in order of write and raster, which compresses well."""
    rows = np.concatenate([survivors, evicted])
    rows["left"][len(survivors):] = True
    return Moment(frame, rows[np.lexsort((rows["cell"], rows["written"]))])


def _unusable(file: Path, expected: str, error: Exception) -> DatasetError:
    found = "no such file" if isinstance(error, FileNotFoundError) else f"something else ({error})"
    return DatasetError(f"{file}: expected {expected}, found {found}; run the evaluation again with --telemetry")
