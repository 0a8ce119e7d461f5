"""Session: a video whose masks can be corrected anywhere, and which segments again only what a correction changes."""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inference.segmenter import VideoSegmenter
from inference.session.blend import meet
from inference.session.checkpoints import Checkpoints
from inference.session.frames import Frames
from inference.session.passes import Pass, Segmented
from inference.session.store import Masks, Waiting
from inference.views import ViewSegmenter

_MOST_CHECKPOINTS = 64      # of each pass


class Session:
    """Masks given at any frames of a video, and the masks of all frames that follow from them.

    Frames before the first given mask are background, or with `both` segmented backward. With `both`, a forward and a
    backward pass meet between given masks. Changes make frames stale; `run` segments the stale frames. The result is
    always that of a new session with the same given masks, to the byte, as long as no frame is locked.

    A locked frame stands: its mask stays, and so do the states of the passes there. A change on one side of it does not
    reach the other side. When it is unlocked, what changed in the meantime becomes stale.

    Args:
        frames: `len(frames)` and `frames[i]`, [H, W, 3] uint8 RGB: a list, or `open_frames` of a folder or video file.
        make_segmenter: makes a segmenter, one for each direction; they are not used elsewhere.
        keep_given: given masks are permanent in memory. With `both`, each pass begins with all of them in its bank, so
        a change of one makes all frames stale, except the locked ones.
        checkpoint_every: frames between two stored states of a segmenter; at most 64 states are held per direction.
        folder: where masks are stored as PNGs (00042.png), and states in a temporary folder; None: both in memory.
    """

    def __init__(
        self, frames: Frames, make_segmenter: Callable[[], VideoSegmenter | ViewSegmenter], both: bool = False,
        keep_given: bool = False, checkpoint_every: int = 20, folder: Path | None = None,
    ) -> None:
        first = frames[0]
        self.frames, self.keep_given, self.size = frames, keep_given, (first.shape[0], first.shape[1])
        self._given: dict[int, np.ndarray] = {}
        self._locked: set[int] = set()
        self._stale = set(range(len(frames)))
        self.changes = 0                             # so that a `run` notices a change between two of its frames
        self._masks = Masks(self.size, folder)
        self.forward, *more = (
            Pass(frames, self._prepared(make_segmenter()), self._given, self._locked,
                 Checkpoints(checkpoint_every, _MOST_CHECKPOINTS, folder), backward, joint=keep_given and both)
            for backward in ((False, True) if both else (False,))
        )
        self.backward = more[0] if more else None
        self.passes = [self.forward, *more]
        self._waiting = {each: Waiting(folder) for each in self.passes} if both else {}

    @property
    def given(self) -> dict[int, np.ndarray]:
        """Frame number -> its given mask [H, W] uint8; a copy of the dictionary, masks are read-only."""
        return dict(sorted(self._given.items()))

    @property
    def locked(self) -> list[int]:
        """Numbers of the locked frames, ascending."""
        return sorted(self._locked)

    @property
    def stale(self) -> list[int]:
        """Numbers of the frames that `run` will segment, ascending."""
        return sorted(self._stale)

    @property
    def masked(self) -> set[int]:
        """Numbers of the frames that have a mask, stale ones included."""
        return set(self._masks)

    @property
    def steps_left(self) -> int:
        """Steps that `run` still has to take: over all frames that are stale, in each direction."""
        return len(self._stale) + (len(self.backward.stale) if self.backward else 0)

    @property
    def segmented_frames(self) -> int:
        """Frames that the segmenters have segmented since the beginning, repeated ones included."""
        return sum(each.steps for each in self.passes)

    def give(self, index: int, labels: np.ndarray) -> None:
        """Give a mask [H, W] of object numbers, 1 to 254, at a frame; it replaces an earlier one there.

        It says where its objects are; objects that it does not contain are predicted (as in VideoSegmenter.step).
        Raises ValueError for a locked frame, another size or other numbers, and a mask without object.
        """
        self._check(index)
        if labels.shape != self.size or labels.min() < 0 or labels.max() > 254 or not labels.any():
            raise ValueError(f"frame {index}: expected a mask of {self.size} with object numbers from 1 to 254, found "
                             f"{labels.shape} with {labels.min()} to {labels.max()}")
        mask = labels.astype(np.uint8)               # a copy
        mask.flags.writeable = False
        if index not in self._given or not np.array_equal(mask, self._given[index]):
            self._given[index] = mask
            self._change(index)

    def take_back(self, index: int) -> None:
        """Withdraw the given mask of a frame. Raises ValueError for a locked frame, KeyError if none was given."""
        self._check(index)
        del self._given[index]
        self._change(index)

    def lock(self, index: int) -> None:
        """Keep the mask of a frame as it is. Raises ValueError for a stale frame: `run` it first."""
        self._check(index, locked=True)
        if index in self._locked:
            return
        if index in self._stale:
            raise ValueError(f"frame {index}: expected a frame that is segmented, found one that is stale; run first")
        for each in self.passes:
            each.keep_state(index)
        self._locked.add(index)

    def unlock(self, index: int) -> None:
        """The frame follows the given masks again; it and its neighbours may become stale. Nothing if not locked."""
        if index in self._locked:
            self._locked.discard(index)
            self._mark(set().union(*(each.unlock(index) for each in self.passes)))

    def labels(self, index: int) -> np.ndarray | None:
        """The latest mask of a frame [H, W] uint8, even if the frame is stale since; None: never segmented."""
        return self._masks.get(index) if index in self._masks else None

    def run(self, progress: Callable[[int], None] | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Segment the stale frames; yields (frame number, mask [H, W] uint8), ascending. With `both`, the backward
        pass comes before the first of them.

        You can stop at any time, and change something between two frames: what is done stays done, unless a change
        makes it stale.

        Args:
            progress: called after each step of each pass with the number of steps left.
        Raises MemoryConfigError if `keep_given` and the capacity is too small for the given masks.
        """
        tell = progress or (lambda left: None)
        while self._stale:
            changes = self.changes
            for _ in self.run_backward():
                tell(self.steps_left)
            for index in sorted(self._stale):
                found = self.segment(index)
                tell(self.steps_left)
                yield index, np.zeros(self.size, np.uint8) if found is None else found.labels
                if changes != self.changes:
                    break

    def run_backward(self) -> Iterator[int]:
        """The part of `run` that comes first: the stale steps of the backward pass. Yields their frame numbers."""
        if self.keep_given:
            self.forward.segmenter.check_room(len(self._given))
        if self.backward is not None:
            for position in sorted(self.backward.stale):
                index = self.backward.flip(position)
                self._of_pass(self.backward, index)
                yield index

    def segment(self, index: int) -> Segmented | None:
        """The part of `run` that comes then, for one stale frame; None if no object is known there."""
        found = self._of_pass(self.forward, index)
        if self.backward is not None:
            found = meet(found, self._of_pass(self.backward, index), self._given.get(index))
        self._masks.put(index, np.zeros(self.size, np.uint8) if found is None else found.labels)
        self._stale.discard(index)
        return found

    def marks(self) -> dict[str, Any]:
        """Which frames are stale and locked, for JSON. With the given masks, the files of masks and passes, and the
        checkpoints of locked frames, it is all that `resume` needs."""
        return {"stale": self.stale, "locked": self.locked, "passes": [each.marks() for each in self.passes]}

    def adopt(self, passes: Path) -> None:
        """Use the files of an earlier session: masks that lie in `folder` count, and the results of the passes lie in
        `passes` instead of a temporary folder."""
        self._masks.adopt(len(self.frames))
        for waiting, name in zip(self._waiting.values(), ("forward", "backward"), strict=False):
            waiting.move(passes / name)

    def resume(self, marks: Mapping[str, Any], given: Mapping[int, np.ndarray]) -> None:
        """Continue where an earlier session was, whose files are adopted.

        Args:
            marks: its `marks()`. given: its given masks, as they were; they are not copied.
        """
        for index, mask in given.items():
            mask.flags.writeable = False
            self._given[index] = mask
        self._locked.update(marks["locked"])
        self._stale = (set(marks["stale"]) | (set(range(len(self.frames))) - self.masked)) - self._locked
        for each, held in zip(self.passes, marks["passes"], strict=False):
            each.resume(held)

    def stand(self, locked: Collection[int]) -> None:
        """Lock frames at the masks of an earlier session with another segmenter. Once they are unlocked, they and the
        frames after them are stale."""
        self._locked.update(locked)
        self._stale -= self._locked
        for each in self.passes:
            each.stand(locked)

    def _of_pass(self, each: Pass, index: int) -> Segmented | None:
        """What one pass says about a frame. With two passes it is always read back, so that rounding is always the
        same."""
        waiting, position = self._waiting.get(each), each.flip(index)
        if waiting is None or position in each.stale:
            found = each.segment(position)
            if waiting is None:
                each.stale.discard(position)
                return found
            waiting.put(index, found)
            each.stale.discard(position)
        return waiting.get(index)

    def _change(self, index: int) -> None:
        self._mark(set().union(*(each.change(index) for each in self.passes)))

    def _mark(self, frames: set[int]) -> None:
        self._stale |= frames - self._locked
        self.changes += 1

    def _check(self, index: int, locked: bool = False) -> None:
        if not 0 <= index < len(self.frames):
            raise ValueError(f"frame {index}: expected a frame from 0 to {len(self.frames) - 1}")
        if index in self._locked and not locked:
            raise ValueError(f"frame {index}: expected a frame that is not locked; unlock it first")

    def _prepared(self, segmenter: VideoSegmenter | ViewSegmenter) -> ViewSegmenter:
        prepared = ViewSegmenter([segmenter]) if isinstance(segmenter, VideoSegmenter) else segmenter
        prepared.keep_given = self.keep_given
        return prepared
