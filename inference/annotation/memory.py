"""What the memory bank held when each frame was segmented, and which entries each cell read: recorded, then shown."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset.files import atomic_write
from inference.annotation.errors import Missing
from inference.annotation.video import Shown
from inference.memory import MemoryBank
from inference.session import Session
from inference.session.passes import Pass
from model.geometry import STRIDE, cells_under, grid_size, padding
from model.matching import TopK

_MOST = 2**28          # bytes of recordings on disk; the oldest ones go
_DIM = 0.35            # brightness of cells that are not held
_NEUTRAL = (255, 255, 255)      # of entries that show no object


@dataclass(frozen=True)
class Recording:
    """The bank when one frame read it. E entries, M cells of the frame, k entries read by each."""

    frames: np.ndarray       # [E] the frame that an entry comes from
    cells: np.ndarray        # [E] its raster index there
    objects: np.ndarray      # [E] the object that it shows; 0: none, or not known
    indices: np.ndarray      # [M, k] the entries read
    weights: np.ndarray      # [M, k] softmax weights, rows sum to one


class Recorder:
    """Observes the banks of a session, of the first view, and writes a file per frame.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(folder.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        self._sizes = OrderedDict((int(path.stem), path.stat().st_size) for path in files)
        self._last: dict[Pass, tuple[int, Recording]] = {}
        self._banks: list[MemoryBank] = []

    def observe(self, session: Session) -> None:
        """A new session takes the place of the earlier one."""
        self._last = {}
        for bank in self._banks:                # nothing holds the earlier session any more
            bank.observer = None
        self._banks = [each.segmenter.segmenters[0].memory for each in session.passes]
        for each in session.passes:
            def note(matches: TopK, each: Pass = each) -> None:
                self._note(each, matches)
            each.segmenter.segmenters[0].memory.observer = note

    def write(self, session: Session, frame: int) -> None:
        """After a frame was segmented: what the forward pass read there, or if it read nothing, the backward pass."""
        for each in session.passes:
            index, recording = self._last.get(each, (None, None))
            if recording is not None and index == each.flip(frame):
                with atomic_write(self._file(frame)) as partial, open(partial, "wb") as file:
                    np.savez(file, **vars(recording))
                self._sizes.pop(frame, None)
                self._sizes[frame] = self._file(frame).stat().st_size
                break
        self._last = {}
        while sum(self._sizes.values()) > _MOST:
            oldest, _ = self._sizes.popitem(last=False)
            self._file(oldest).unlink(missing_ok=True)

    def read(self, frame: int) -> Recording:
        """From any thread. Raises Missing if there is none."""
        try:
            with np.load(self._file(frame)) as arrays:
                return Recording(**{name: arrays[name] for name in Recording.__dataclass_fields__})
        except (OSError, ValueError, KeyError):
            raise Missing(f"frame {frame}: expected a frame that read the memory, found none recorded; propagate over "
                          "it (the frame of the first given mask reads nothing)") from None

    def _note(self, each: Pass, matches: TopK) -> None:
        segmenter = each.segmenter.segmenters[0]
        entries = segmenter.memory.entries
        assert entries is not None
        written, cells = (column.numpy(force=True) for column in entries.sources)
        owner = np.zeros(len(written), np.int64)
        owner[: entries.held] = entries.owner.numpy(force=True)
        numbers = np.array([0, *segmenter.table.parts], np.uint8)
        frames = each.length - 1 - written if each.backward else written
        self._last[each] = segmenter.frame_index, Recording(
            frames.astype(np.int32), cells.astype(np.int32), numbers[np.minimum(owner, len(numbers) - 1)],
            matches.indices.numpy(force=True).astype(np.int32), matches.weights.numpy(force=True).astype(np.float16))

    def _file(self, frame: int) -> Path:
        return self.folder / f"{frame:05d}.npz"


class Panel:
    """Recordings as answers and pictures, at the working size (h, w), which is also that of the network's view.

    Args:
        palette: returns the color of each object number, [256, 3] uint8 RGB.
    """

    def __init__(self, recorder: Recorder, shown: Shown, palette: Callable[[], np.ndarray]) -> None:
        self.recorder, self.shown, self.size, self.palette = recorder, shown, shown.size, palette
        self.grid = grid_size(self.size)

    def held(self, frame: int) -> dict[str, Any]:
        """How many entries of which frames were held when `frame` was segmented."""
        recording = self.recorder.read(frame)
        found, counts = np.unique(recording.frames, return_counts=True)
        sources = [{"frame": source, "count": count, "cells": f"api/memory/{frame}/{source}.png"}
                   for source, count in zip(found.tolist(), counts.tolist(), strict=True)]
        return {"entries": len(recording.frames), "frames": sources,
                "cells": {"height": self.grid[0], "width": self.grid[1]}}

    def picture(self, frame: int, source: int) -> np.ndarray:
        """The frame `source` with the cells painted that were held when `frame` was segmented: [h, w, 3] uint8."""
        recording = self.recorder.read(frame)
        of_source = recording.frames == source
        if not of_source.any():
            raise Missing(f"frame {frame}: expected a frame that it could read, found that nothing of frame {source} "
                          "was held")
        tint = np.zeros((self.grid[0] * self.grid[1], 3), np.float32)
        held = np.zeros(len(tint), bool)
        held[recording.cells[of_source]] = True
        objects = recording.objects[of_source]
        tint[recording.cells[of_source]] = np.where(objects[:, None] > 0, self.palette()[objects], _NEUTRAL)
        cells = cells_under(self.size, self.size)
        image = self.shown.image(source).astype(np.float32)
        painted = np.where(held[cells][..., None], 0.65 * image + 0.35 * tint[cells], _DIM * image)
        picture: np.ndarray = painted.round().clip(0, 255).astype(np.uint8)
        return picture

    def reads(self, frame: int, x: float, y: float) -> list[dict[str, Any]]:
        """The entries that the cell under a pixel of `frame` read, the heaviest first."""
        recording = self.recorder.read(frame)
        row, column = (min(max(int(at), 0), side - 1) for at, side in zip((y, x), self.size, strict=True))
        cell = cells_under(self.size, self.size)[row, column]
        left, _, top, _ = padding(self.size)
        found = []
        for entry, weight in zip(recording.indices[cell].tolist(), recording.weights[cell].tolist(), strict=True):
            down, across = divmod(int(recording.cells[entry]), self.grid[1])
            place = {"x": (across + 0.5) * STRIDE - left, "y": (down + 0.5) * STRIDE - top}
            found.append({"frame": int(recording.frames[entry]), "weight": round(weight, 4), **place})
        return sorted(found, key=lambda each: -each["weight"])


def png_of(picture: np.ndarray) -> bytes:
    """A picture [h, w, 3] RGB or a label map [h, w] as a PNG."""
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    content: bytes = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return content
