"""A session on disk: what `Session` holds beside its masks, so that a new process continues exactly.

Its masks and the results of its passes are files already. Checkpoints are not saved, since they only save time; those
of locked frames are, since a locked frame's state stands and could not be computed again.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from inference.session import Session
from model.storage import read_file, save_file

PASSES = ("forward", "backward")


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as ranges [first, last], ascending."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def numbers_in(found: Iterable[Iterable[int]]) -> set[int]:
    """What `ranges` was given."""
    return {number for first, last in found for number in range(first, last + 1)}


class SavedSession:
    """The files of a session in `folder`: masks/, and passes/ and states/, which belong to one bank and direction."""

    def __init__(self, folder: Path) -> None:
        self.masks, self.passes, self.states = folder / "masks", folder / "passes", folder / "states"

    def sweep(self) -> None:
        """Before the first session: remove the temporary folders of a process that was killed."""
        for folder in (*self.masks.glob(".passes-*"), *self.masks.glob(".checkpoints-*")):
            shutil.rmtree(folder, ignore_errors=True)

    def clear(self) -> None:
        """Before another bank or direction; the masks stay."""
        for folder in (self.passes, self.states):
            shutil.rmtree(folder, ignore_errors=True)

    def state(self, session: Session) -> dict[str, Any]:
        """For JSON."""
        marks = session.marks()
        passes = [each | {"stale": ranges(each["stale"])} for each in marks["passes"]]
        return marks | {"stale": ranges(marks["stale"]), "passes": passes}

    def restore(self, session: Session, state: dict[str, Any], given: dict[int, np.ndarray]) -> None:
        """Give a new session the `state` of an earlier one. given: the masks that it had."""
        passes = [each | {"stale": numbers_in(each["stale"])} for each in state["passes"]]
        session.resume(state | {"stale": numbers_in(state["stale"]), "passes": passes}, given)
        for each, name in zip(session.passes, PASSES, strict=False):
            for file in self.states.glob(f"{name}-*.pth"):
                each.checkpoints.states[int(file.stem.rpartition("-")[2])] = read_file(file)

    def save_lock(self, session: Session, index: int) -> None:
        """After a frame was locked: the states from which its neighbors continue."""
        for each, name in zip(session.passes, PASSES, strict=False):
            position = each.flip(index) + 1
            if position in each.checkpoints.states:
                save_file(self.states / f"{name}-{position}.pth", each.checkpoints.states[position])

    def forget_lock(self, session: Session, index: int) -> None:
        for each, name in zip(session.passes, PASSES, strict=False):
            (self.states / f"{name}-{each.flip(index) + 1}.pth").unlink(missing_ok=True)
