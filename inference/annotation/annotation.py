"""An annotation, for any thread: requests are checked and stored at once, and the worker's thread carries them out."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from dataset.files import in_one_line
from dataset.masks import labels_in
from inference.annotation.engine import Engine, Tell
from inference.annotation.errors import Conflict, Missing, Refused
from inference.annotation.export import export, wanted_of
from inference.annotation.memory import Panel
from inference.annotation.network import Network
from inference.annotation.objects import Objects
from inference.annotation.progress import Progress
from inference.annotation.project import Project
from inference.annotation.sizes import enlarged, shrunk
from inference.annotation.video import Shown, Video
from inference.annotation.worker import Worker
from inference.commands import lack_of_memory
from inference.memory import MemoryOptions, make_bank


class Annotation:
    """Everything that the page can ask for. Errors are Refused, with one line for the user.

    Args:
        bank: of a new annotation. tell: called from any thread with the name of an event and what it says.
    """

    def __init__(self, project: Project, video: Video, network: Network, bank: MemoryOptions, tell: Tell) -> None:
        self.project, self.video, self.tell = project, video, tell
        self.size = video.shown_size(network.views.short_side)
        self.shown = Shown(video, self.size, project.own / f"frames-{self.size[1]}x{self.size[0]}")
        self.engine = Engine(project, video, network, bank, tell)
        choices = project.choices()
        self.objects = Objects(choices["objects"])
        self.panel = Panel(self.engine.recorder, self.shown, self.objects.palette)
        self._settle_locks(set(choices["locked"]))
        self.given, self.locked = set(self.engine.board.given), set(self.engine.board.locked)
        self.objects.add(number for frame in self.given for number in labels_in(self.engine.session.given[frame]))
        self.progress: Progress | None = None
        self._pending: dict[object, range] = {}          # what changes that the session does not know yet make stale
        self._lock = threading.Lock()                    # of what requests change: given, locked, objects
        self.worker = Worker(self._failed)

    def _settle_locks(self, wanted: set[int]) -> None:
        """Locks that the last process stored, but did not come to."""
        for frame in wanted ^ self.engine.board.locked:
            with contextlib.suppress(ValueError):             # it is stale by now
                self.engine.apply_lock(frame, frame in wanted)
        self.engine.changed()

    def check(self, frame: int) -> int:
        """The number of a frame. Raises Missing if there is none."""
        if not 0 <= frame < len(self.video.names):
            raise Missing(f"frame {frame}: expected a frame from 0 to {len(self.video.names) - 1}")
        return frame

    @property
    def stale(self) -> set[int]:
        """Frames that a propagation would segment, by all that was given until now."""
        return set(self.engine.board.stale).union(*list(self._pending.values())) - self.locked

    def mask(self, frame: int) -> np.ndarray:
        """The mask of a frame at the working size. Raises Missing if there is none."""
        labels = self._current(self.check(frame))
        if labels is None:
            raise Missing(f"frame {frame}: expected a mask, found none; paint one, or propagate")
        return shrunk(labels, self.size)

    def give(self, frame: int, painted: np.ndarray) -> None:
        """Store the given mask of a frame, painted at the working size."""
        if painted.shape != self.size:
            raise Refused(f"mask: expected {self.size[1]}x{self.size[0]} pixels, found {painted.shape[1]}x"
                          f"{painted.shape[0]}")
        if not painted.any():
            raise Refused("mask: expected at least one object, found background alone; objects that a given mask does "
                          "not show are predicted, so an empty one says nothing: remove the given mask instead (Del)")
        if painted.max() > 254:
            raise Refused("mask: expected object numbers from 1 to 254, found 255")
        with self._lock:
            self._unlocked(frame)
            labels = enlarged(painted, self._current(frame), self.video.size)
            self._store(frame, labels)
            self.objects.add(labels_in(labels))
            self._save_choices()

    def take_back(self, frame: int) -> None:
        """The frame has no given mask any more."""
        with self._lock:
            self._unlocked(frame)
            if frame not in self.given:
                raise Missing(f"frame {frame}: expected a given mask, found none")
            self._store(frame, None)

    def lock(self, frame: int, locked: bool) -> None:
        with self._lock:
            self.check(frame)
            board = self.engine.board
            if locked and (frame in self.stale or frame not in board.masked):
                raise Conflict(f"frame {frame}: expected a mask that is up to date, found "
                               f"{'a stale one' if frame in board.masked else 'none'}; propagate first")
            (self.locked.add if locked else self.locked.discard)(frame)
            self._save_choices()
            self._apply(lambda: self.engine.apply_lock(frame, locked))

    def put_object(self, number: int, **values: Any) -> None:
        with self._lock:
            self.objects.put(number, values)
            self._save_choices()
        self.tell("state", {})

    def remove_object(self, number: int) -> None:
        """Remove it from the list and from all given masks."""
        with self._lock:
            masks = {frame: labels for frame in sorted(self.given) if (
                (labels := self.project.read_given(frame)) == number).any()}
            for frame in masks:
                self._unlocked(frame)
            self.objects.remove(number)
            for frame, labels in masks.items():
                left = np.where(labels == number, 0, labels).astype(np.uint8)
                self._store(frame, left if left.any() else None)
            self._save_choices()
        self.tell("state", {})

    def set_bank(self, memory: str, frames: int | None) -> None:
        """Raises MemoryConfigError for a bank that cannot be; Conflict while something runs."""
        bank = replace(self.engine.board.bank, memory=memory, memory_frames=frames)
        make_bank(bank)
        if self.worker.busy:
            raise Conflict(f"bank: expected nothing that runs, found {self.worker.busy}; wait, or cancel it")
        self._apply(lambda: self.engine.rebuild(bank, self.engine.direction))

    def propagate(self, direction: Literal["forward", "backward", "both"], start: int) -> "Future[Any]":
        """Segment stale frames; returns at once."""
        self.check(start)
        if not self.given:
            raise Conflict("propagate: expected a given mask, found none; paint an object first")
        return self.worker.start("propagate", lambda: self._propagate(direction, start))

    def export(self, kinds: Sequence[str]) -> "Future[Any]":
        """Write results to the folder; the result is that of `POST api/export`."""
        wanted, board = wanted_of(self.project.root, kinds), self.engine.board
        if missing := len(self.video.names) - len(board.masked):
            raise Conflict(f"export: expected a mask of every frame, found {missing} frames without one; propagate "
                           "first")
        return self.worker.start("export", lambda: self._export(wanted))

    def close(self) -> None:
        """End after the current step. Everything is saved."""
        self.worker.stop()
        self.engine.save()
        self.project.close()

    def _propagate(self, direction: str, start: int) -> None:
        both = direction != "forward"
        if both != (self.engine.direction == "both"):
            self.engine.rebuild(self.engine.bank, "both" if both else "forward")
        self.engine.changed()
        self._follow("propagate", lambda step: all(
            step(*each) for each in self.engine.steps(lambda frame: direction != "backward" or frame <= start)))

    def _export(self, wanted: Any) -> dict[str, Any]:
        stale = len(self.engine.board.stale)
        files = self._follow("export", lambda step: export(self.engine, wanted, step))
        note = f"{stale} frames are stale: their masks are older than your last changes" if stale else None
        return {"files": files, "folder": str(self.project.root), "note": note}

    def _follow(self, what: str, work: Callable[[Callable[[int, int], bool]], Any]) -> Any:
        """Do work with progress, which ends in any case; short tasks are carried out in between."""
        progress = self.progress = Progress(what, self.tell)

        def step(left: int, frame: int) -> bool:
            progress.step(left, frame)
            return self.worker.between()

        try:
            return work(step)
        finally:
            self.progress = None
            self.tell("progress", None)
            self.engine.changed()

    def _current(self, frame: int) -> np.ndarray | None:
        """The mask that is shown [H, W]: a given one that is not propagated yet, or the latest result."""
        board = self.engine.board
        if frame in self.given and (frame in self.stale or frame not in board.given):
            return self.project.read_given(frame)
        return self.engine.session.labels(frame) if frame in board.masked else None

    def _store(self, frame: int, labels: np.ndarray | None) -> None:
        """Write it to disk now, and give it to the session soon."""
        self.project.write_given(frame, labels)
        (self.given.discard if labels is None else self.given.add)(frame)
        both = self.engine.board.direction == "both"
        first = max((each + 1 for each in self.locked if each < frame), default=0) if both else frame
        end = min((each for each in self.locked if each > frame), default=len(self.video.names))
        self._apply(lambda: self.engine.apply_given(frame, labels), range(first, end))

    def _apply(self, change: Callable[[], None], stale: range = range(0)) -> None:
        """Have the session changed soon. stale: the frames that the change will make stale."""
        key = object()
        self._pending[key] = stale

        def apply() -> None:
            with contextlib.ExitStack() as then:
                then.callback(self._pending.pop, key)
                then.callback(self.engine.changed)               # comes first
                change()
        self.worker.submit(apply)

    def _unlocked(self, frame: int) -> None:
        if self.check(frame) in self.locked:
            raise Conflict(f"frame {frame}: expected a frame that is not locked; unlock it first")

    def _save_choices(self) -> None:
        self.project.save_choices(self.objects.list(), sorted(self.locked))

    def _failed(self, error: Exception) -> None:
        """A task failed in the worker's thread: the session's locks count, and the user is told."""
        self.locked = set(self.engine.board.locked)
        self.tell("failure", {"error": lack_of_memory(error) or in_one_line(error)})
