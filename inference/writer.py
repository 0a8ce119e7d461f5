"""Writing one sequence's masks in a background thread; its folder appears when it is complete."""

import os
import queue
import shutil
import threading
from pathlib import Path
from types import TracebackType

import numpy as np

from dataset.folder import Frame
from dataset.masks import overlay, write_image, write_labels

_WAITING = 16      # frames that may wait to be written before `write` blocks


class SequenceWriter:
    """Context manager around the frames of one sequence.

    Masks go to a hidden folder beside `folder`, which is renamed to `folder` on leaving without an error and
    removed otherwise: a folder of that name is always complete.

    Args:
        folder: `<frame name>.png` label maps go here. overlays: a folder for `<frame name>.jpg` overlays, or None.
    """

    def __init__(self, folder: Path, overlays: Path | None = None) -> None:
        self._targets = [folder, *([overlays] if overlays else [])]
        self._partials = [target.with_name(f".{target.name}.partial") for target in self._targets]
        self._queue: queue.Queue[tuple[Frame, np.ndarray] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"writer of {folder.name}", daemon=True)

    def __enter__(self) -> "SequenceWriter":
        for partial in self._partials:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self._thread.start()
        return self

    def write(self, frame: Frame, labels: np.ndarray) -> None:
        """Hand over the label map [H, W] of a frame; raises what an earlier write raised."""
        if self._error is not None:
            raise self._error
        self._queue.put((frame, labels))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._error is None:
            for partial, target in zip(self._partials, self._targets, strict=True):
                shutil.rmtree(target, ignore_errors=True)
                os.replace(partial, target)
            return
        for partial in self._partials:
            shutil.rmtree(partial, ignore_errors=True)
        if kind is None:
            raise self._error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is not None:
                continue                    # drain, so that `write` never blocks on a dead thread
            try:
                self._write(*item)
            except BaseException as error:
                self._error = error

    def _write(self, frame: Frame, labels: np.ndarray) -> None:
        write_labels(self._partials[0] / f"{frame.name}.png", labels)
        for folder in self._partials[1:]:
            write_image(folder / f"{frame.name}.jpg", overlay(frame.image, labels), quality=90)
