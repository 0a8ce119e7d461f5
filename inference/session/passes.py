"""One pass of a segmenter through a video, forward or backward, that can be repeated from the middle.

A pass counts positions from its own start: position 0 of a backward pass is the last frame of the video. So a backward
pass is exactly a forward pass through the reversed video.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dataset.masks import labels_in
from inference.session.checkpoints import Checkpoints
from inference.session.frames import Frames
from inference.views import ViewSegmenter


@dataclass(frozen=True)
class Segmented:
    """One frame as one pass, or both together, segmented it."""

    objects: list[int]         # object numbers known, ascending
    probabilities: Tensor      # [1 + objects, H, W], background first
    labels: np.ndarray         # [H, W] uint8, object numbers
    distances: list[int]       # of each object: frames since its last given mask in the direction of the pass


class Pass:
    """A segmenter, its position in the video, checkpoints, and the positions that are stale.

    Args:
        given: label maps by frame number; the owner changes them and says so (`change`).
        locked: frame numbers; the owner changes them too (`keep_state`, `unlock`).
        joint: the bank begins with all given frames, so each of them informs all frames.
    """

    def __init__(
        self, frames: Frames, segmenter: ViewSegmenter, given: Mapping[int, np.ndarray], locked: Collection[int],
        checkpoints: Checkpoints, backward: bool = False, joint: bool = False,
    ) -> None:
        self.frames, self.segmenter, self.given, self.locked = frames, segmenter, given, locked
        self.checkpoints, self.backward, self.joint = checkpoints, backward, joint
        self.length = len(frames)
        self.stale = set(range(self.length))          # positions whose result is not what it should be, or missing
        self.steps = 0                                # frames segmented, repeated ones included
        self._moved: set[int] = set()                 # locked positions before which something changed since
        self._position: int | None = None             # of the next step; None: the segmenter's state is of no use
        self._last_given: dict[int, int] = {}         # object -> position of its last given mask

    def flip(self, place: int) -> int:
        """Frame number -> position, and position -> frame number."""
        return self.length - 1 - place if self.backward else place

    def segment(self, position: int) -> Segmented | None:
        """The frame at `position`; None if no object is known there. Continues from the newest checkpoint."""
        self._go_to(position)
        probabilities = self._step()
        if probabilities is None:
            return None
        objects = self.segmenter.objects
        distances = [position - self._last_given.get(number, position - self.length) for number in objects]
        return Segmented(objects, probabilities, self.segmenter.labels(probabilities), distances)

    def change(self, frame: int) -> set[int]:
        """The given mask of a frame has changed. Returns the frames whose results depend on it: up to the next lock.

        In a joint pass, these are all frames.
        """
        locks = {self.flip(each) for each in self.locked}
        first = 0 if self.joint else self.flip(frame)
        end = self.length if self.joint else min((lock for lock in locks if lock >= first), default=self.length)
        self._moved |= locks if self.joint else locks & {end}
        return self._redo(first, end)

    def keep_state(self, frame: int) -> None:
        """Before a frame is locked: keep the state after it, from which later frames continue from now on."""
        position = self.flip(frame) + 1
        if not self.joint and position < self.length:
            self._go_to(position)
            self.checkpoints.add(position, self._state(), self._pinned() | {position})

    def unlock(self, frame: int) -> set[int]:
        """A frame is no longer locked. Returns the frames whose results change by it."""
        position = self.flip(frame)
        if position not in self._moved:
            return set()
        self._moved.discard(position)
        return {frame} if self.joint else self.change(frame)

    def marks(self) -> dict[str, list[int]]:
        """What `resume` needs, for JSON."""
        return {"stale": sorted(self.stale), "moved": sorted(self._moved)}

    def resume(self, marks: Mapping[str, Iterable[int]]) -> None:
        """Continue where a pass with these `marks` was."""
        self.stale, self._moved = set(marks["stale"]), set(marks["moved"])

    def stand(self, frames: Iterable[int]) -> None:
        """Masks of another pass stand at these locked frames: what this pass knows of them is stale."""
        self._moved |= {self.flip(frame) for frame in frames}

    def _redo(self, first: int, end: int) -> set[int]:
        """Mark the positions from `first` to before `end` as stale; returns their frames."""
        self.checkpoints.drop(first, end)
        if self._position is not None and first < self._position <= end:
            self._position = None
        if self.joint:
            self._position = None
        self.stale.update(range(first, end))
        return {self.flip(position) for position in range(first, end)}

    def _pinned(self) -> set[int]:
        return {self.flip(frame) + 1 for frame in self.locked}

    def _go_to(self, position: int) -> None:
        """Bring the segmenter to the state before `position`."""
        saved = self.checkpoints.newest(position)
        if self._position is None or not saved <= self._position <= position:
            self._position = None
            self._restore(saved)
        while self._position != position:
            self._step()

    def _step(self) -> Tensor | None:
        """Segment the next frame; None if no object is known."""
        position = self._position
        assert position is not None
        if self.checkpoints.wanted(position):
            self.checkpoints.add(position, self._state(), self._pinned())
        self._position = None                              # an error below leaves a segmenter in between two frames
        index = self.flip(position)
        annotation, probabilities = self.given.get(index), None
        if annotation is None and not self.segmenter.objects:
            self.segmenter.skip()
        else:
            if annotation is not None:
                self._last_given |= dict.fromkeys(labels_in(annotation), position)
            if self.joint:
                self.segmenter.freeze(annotation is not None)      # it is in the bank already
            probabilities = self.segmenter.step(self.frames[index], annotation)
            self.steps += 1
        self._position = position + 1
        return probabilities

    def _state(self) -> dict[str, Any]:
        return {"segmenter": self.segmenter.state(), "last_given": dict(self._last_given)}

    def _restore(self, position: int) -> None:
        state = self.checkpoints.states.get(position)
        if state is not None:
            self.segmenter.restore(state["segmenter"])
            self._last_given = dict(state["last_given"])
        else:
            self.segmenter.reset()
            self._last_given = {}
            for frame in sorted(self.given, reverse=self.backward) if self.joint else ():
                self.segmenter.learn(self.frames[frame], self.given[frame], self.flip(frame))
        self._position = position
