"""Writing in a background thread. The folder of a sequence's masks appears when it is complete."""

import os
import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from dataset.folder import Frame
from dataset.masks import overlay, write_image, write_labels
from inference.run.hand_over import HandOver

WAITING = 16       # frames that may wait to be written before `write` blocks


class BackgroundWriter(ABC):
    """Context manager around a thread that writes the items it is given, in order.

    Subclasses define how one item is written (`_write`) and what is done at the end (`_finish`), both in the thread.

    Args:
        name: of the thread. waiting: items that may wait to be written.
    """

    def __init__(self, name: str, waiting: int = WAITING) -> None:
        self._queue: HandOver[tuple[object, ...] | None] = HandOver(waiting)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"writer of {name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def write(self, *item: object) -> None:
        """Queue the arguments of one `_write`; raises what an earlier write raised."""
        if self._error is not None:
            raise self._error
        self._queue.put(item)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._queue.put_last(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if self._error is None:         # otherwise empty the queue, so that `write` never blocks
                self._attempt(self._write, *item)
        self._attempt(self._finish)

    def _attempt(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            self._error = self._error or error

    @abstractmethod
    def _write(self, *item: Any, **named: Any) -> None:
        """Called in the thread for each item."""

    def _finish(self) -> None:      # noqa: B027  # few writers have something left to do
        """Called after the last item, also if writing failed."""


class SequenceWriter(BackgroundWriter):
    """Writes the frames of one sequence: `write(frame, labels)` with the label map [H, W] of a frame.

    Masks go to a hidden folder beside `folder`. At the end it is renamed to `folder`, or removed after an error: a
    folder of that name is always complete.

    Args:
        folder: for label maps, `<frame name>.png`. overlays: a folder for `<frame name>.jpg` overlays, or None.
        black_and_white: every object is 255 in a gray PNG, as in the archive of DAVIS 2016.
    """

    def __init__(self, folder: Path, overlays: Path | None = None, black_and_white: bool = False) -> None:
        super().__init__(folder.name)
        self._black_and_white = black_and_white
        self._targets = [folder, *([overlays] if overlays else [])]
        self._partials = [target.with_name(f".{target.name}.partial") for target in self._targets]

    def __enter__(self) -> Self:
        for partial in self._partials:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        return super().__enter__()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            super().__exit__(kind, error, trace)
            if kind is None:
                for partial, target in zip(self._partials, self._targets, strict=True):
                    shutil.rmtree(target, ignore_errors=True)
                    os.replace(partial, target)
        finally:
            for partial in self._partials:
                shutil.rmtree(partial, ignore_errors=True)

    def _write(self, frame: Frame, labels: np.ndarray) -> None:
        path = self._partials[0] / f"{frame.name}.png"
        if self._black_and_white:
            write_image(path, np.where(labels > 0, 255, 0).astype(np.uint8))
        else:
            write_labels(path, labels)
        for folder in self._partials[1:]:
            write_image(folder / f"{frame.name}.jpg", overlay(frame.image, labels), quality=90)
