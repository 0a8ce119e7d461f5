"""States of a pass, kept so that it can continue from the middle of its video."""

import io
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dataset.files import file_named_in_errors
from model.storage import read_file


class Checkpoints:
    """States of a pass by position: each is the state before the frame at that position was segmented.

    If there are more than `most`, the distance between them is doubled, so that their number stays bounded for a video
    of any length. Position 0, the start, needs no checkpoint.

    Args:
        every: distance between two of them, in frames.
        folder: they lie in files of a temporary folder in it; None: in the memory of the host.
    """

    def __init__(self, every: int, most: int, folder: Path | None = None) -> None:
        if every < 1 or most < 2:
            raise ValueError(f"checkpoints: expected every >= 1 and most >= 2, found {every} and {most}")
        self.every, self.most = every, most
        self.states: MutableMapping[int, Any] = {} if folder is None else StateFiles(folder)

    def wanted(self, position: int) -> bool:
        """Whether the state before `position` is still to be added."""
        return position > 0 and position % self.every == 0 and position not in self.states

    def add(self, position: int, state: object, pinned: Collection[int] = ()) -> None:
        """Keep a state; those at the positions `pinned` stay if others are thinned out."""
        self.states[position] = _on_host(state)
        while len(loose := self.states.keys() - set(pinned)) > self.most:
            self.every *= 2
            for extra in loose:
                if extra % self.every:
                    del self.states[extra]

    def newest(self, position: int) -> int:
        """The last position up to `position` that has a state; 0 is the start."""
        return max((held for held in self.states if held <= position), default=0)

    def drop(self, after: int, last: int) -> None:
        """Forget the states of the positions after `after`, up to `last`."""
        for position in [held for held in self.states if after < held <= last]:
            del self.states[position]


class StateFiles(MutableMapping[int, Any]):
    """States by position, in files: only the positions are in memory. The files go when the object does.

    Args:
        parent: the temporary folder of the files lies in it.
    """

    def __init__(self, parent: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=".checkpoints-", dir=parent))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._held: set[int] = set()

    def __contains__(self, position: object) -> bool:
        return position in self._held

    def __iter__(self) -> Iterator[int]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, position: int) -> Any:
        if position not in self._held:
            raise KeyError(position)
        return read_file(self._file(position))

    def __setitem__(self, position: int, state: Any) -> None:
        content = io.BytesIO()
        torch.save(state, content)
        with file_named_in_errors(self._file(position)):
            self._file(position).write_bytes(content.getbuffer())      # not flushed to disk: it ends with this process
        self._held.add(position)

    def __delitem__(self, position: int) -> None:
        self._held.remove(position)
        self._file(position).unlink(missing_ok=True)

    def _file(self, position: int) -> Path:
        return self.folder / f"{position}.pth"


def _on_host(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.cpu()
    if isinstance(state, dict):
        return {key: _on_host(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_on_host(value) for value in state]
    return state
