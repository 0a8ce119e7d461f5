"""The part of an annotation that owns the session. All of it runs in the thread of `Worker`, but for `board`."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from inference.annotation.memory import Recorder
from inference.annotation.network import Network
from inference.annotation.project import Project, checksum
from inference.annotation.records import Record, Records
from inference.annotation.saved import SavedSession
from inference.annotation.video import Video
from inference.memory import MemoryOptions, make_bank
from inference.quality import mask_quality
from inference.session import Session

Direction = Literal["forward", "both"]
Tell = Callable[[str, Any], None]          # takes the name of an event and what it says
_SAVE_EVERY = 2.0                          # seconds, while frames are segmented


@dataclass(frozen=True)
class Board:
    """What other threads may know of the session: a copy that never changes."""

    given: frozenset[int]
    locked: frozenset[int]
    stale: frozenset[int]             # frames that a propagation would segment
    masked: frozenset[int]            # frames that have a mask, stale ones included
    direction: Direction
    bank: MemoryOptions


class Engine:
    """A session, its records and its recorder, saved at every change.

    Args:
        network: makes the segmenters. bank: of a new annotation. tell: is called with every event.
    """

    def __init__(self, project: Project, video: Video, network: Network, bank: MemoryOptions, tell: Tell) -> None:
        self.project, self.video, self.network, self.tell = project, video, network, tell
        self.saved, self.recorder = SavedSession(project.own), Recorder(project.own / "memory")
        self.records, self._records_file = Records(len(video.names)), project.own / "records.npz"
        self.bank = bank
        self.direction: Direction = "forward"
        self._saved_at = 0.0
        self._load()
        self.board = self._board()
        self.save()

    def _load(self) -> None:
        """Continue from the files: what the last process knew, then what was given since."""
        given, state = self.project.given(), self.project.state()
        self.saved.sweep()
        try:
            self._restore(state, given)
        except (KeyError, TypeError, ValueError, AttributeError):        # damaged: everything is segmented again
            self.saved.clear()
            self.records = Records(len(self.video.names))
            self.session = self._new_session()
        for frame in sorted((given.keys() | self.session.given.keys()) - set(self.session.locked)):
            self.apply_given(frame, given.get(frame))

    def _restore(self, state: dict[str, Any] | None, given: dict[int, np.ndarray]) -> None:
        same = state is not None and state["network"] == self._network()
        if state is not None:
            self.bank, self.direction = MemoryOptions(**state["bank"]), state["direction"]
            self.records = Records.read(self._records_file, len(self.video.names))
        if not same:
            self.saved.clear()
        self.session = self._new_session()
        if state is not None and same:
            applied = {int(frame): check for frame, check in state["given"].items()}
            known = {frame: mask for frame, mask in given.items() if applied.get(frame) == checksum(mask)}
            other = applied.keys() - known.keys() - set(state["session"]["locked"])      # of masks that are gone
            earlier = known | {frame: np.zeros(self.video.size, np.uint8) for frame in other}
            self.saved.restore(self.session, state["session"], earlier)
        elif state is not None:
            self.session.stand(self.session.masked & set(state["session"]["locked"]))

    def apply_given(self, frame: int, labels: np.ndarray | None) -> None:
        """A given mask [H, W], or None if there is none any more. Raises ValueError for a locked frame."""
        if labels is not None:
            self.session.give(frame, labels)
        elif frame in self.session.given:
            self.session.take_back(frame)

    def apply_lock(self, frame: int, locked: bool) -> None:
        """Raises ValueError for a frame that is stale."""
        if locked:
            self.session.lock(frame)
            self.saved.save_lock(self.session, frame)
        else:
            self.session.unlock(frame)
            self.saved.forget_lock(self.session, frame)

    def rebuild(self, bank: MemoryOptions, direction: Direction) -> None:
        """Another bank or direction: all frames are stale, except the locked ones. Raises MemoryConfigError."""
        if (bank, direction) == (self.bank, self.direction):
            return
        make_bank(bank)
        given, locked = self.session.given, self.session.locked
        self.bank, self.direction = bank, direction
        self.saved.clear()
        self.session = self._new_session()
        for frame, labels in given.items():
            self.session.give(frame, labels)
        self.session.stand(locked)

    def changed(self) -> None:
        """After any of the changes above: save it, and say so."""
        self.board = self._board()
        self.save()
        self.tell("state", {})

    def steps(self, wanted: Callable[[int], bool]) -> Iterator[tuple[int, int]]:
        """Segment the stale frames that are `wanted`. Yields (steps left, frame) after each; the session may be changed
        then."""
        session, changes = self.session, -1

        def changed() -> bool:
            return session is not self.session or changes != session.changes

        while session is self.session and (targets := [frame for frame in session.stale if wanted(frame)]):
            changes = session.changes
            for frame in session.run_backward():
                self.recorder.write(session, frame)
                yield session.steps_left, frame
                if changed():
                    break
            for place, frame in enumerate(targets, start=1):
                if changed():
                    break
                self._segment(frame)
                yield len(targets) - place, frame

    def _segment(self, frame: int) -> None:
        session, begin = self.session, time.perf_counter()
        segmenter, steps = session.forward.segmenter, session.forward.steps
        found = session.segment(frame)
        objects, area, confidence = ([], [], [])
        if found is not None:
            quality = mask_quality(found.probabilities).cpu()
            objects, area, confidence = found.objects, quality.area.tolist(), quality.confidence.tolist()
        key = segmenter.mean_key if session.forward.steps > steps and found is not None else None
        self.recorder.write(session, frame)
        held = sum(each.segmenter.bytes_held for each in session.passes)
        seconds = time.perf_counter() - begin
        self.records.put(frame, Record(objects, area, confidence, seconds, segmenter.frames_held, held), key)
        self.board = self._board()
        self.tell("mask", {"frame": frame})
        if time.monotonic() - self._saved_at > _SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the state. Masks are files already; a frame that was segmented after this is segmented again."""
        self.records.save(self._records_file)
        self.project.save_state({
            "network": self._network(), "bank": asdict(self.bank), "direction": self.direction,
            "given": {frame: checksum(labels) for frame, labels in self.session.given.items()},
            "session": self.saved.state(self.session),
        })
        self._saved_at = time.monotonic()

    def _network(self) -> dict[str, Any]:
        """What masks depend on beside the bank: with another network, all frames are stale."""
        about = self.network
        return {"weights": about.weights.name, "precision": about.runtime.precision, "decode": about.runtime.decode,
                "short_side": about.views.short_side, "objects_at_once": about.runtime.objects_at_once}

    def _new_session(self) -> Session:
        session = Session(self.video.frames, partial(self.network.segmenter, self.bank), both=self.direction == "both",
                          folder=self.saved.masks)
        session.adopt(self.saved.passes)
        self.recorder.observe(session)
        return session

    def _board(self) -> Board:
        session = self.session
        return Board(frozenset(session.given), frozenset(session.locked), frozenset(session.stale),
                     frozenset(session.masked), self.direction, self.bank)
