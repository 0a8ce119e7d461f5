"""What happens in a long synthetic clip, and when its objects are seen: written beside the clip, read by its scores."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from dataset.errors import DatasetError
from dataset.files import write_text

Kind = Literal["leave", "hide", "look-alike", "background"]
FOLDER = "Events"           # beside JPEGImages and Annotations
_SEEN = 1 / 4000            # share of a frame's pixels from which on an object counts as seen


@dataclass(frozen=True)
class Event:
    """What happens to an object (0: to the scene) from frame `start` to before frame `end`."""

    kind: Kind
    object: int
    start: int
    end: int

    def presence(self, t: int, ramp: int) -> float:
        """0 outside of the event, 1 inside, with smooth ramps of `ramp` frames at its beginning and end."""
        inside = np.clip(min(t - self.start, self.end - t) / ramp, 0, 1)
        return float(inside * inside * (3 - 2 * inside))


@dataclass(frozen=True)
class Return:
    """An object is seen again at frame `start`, after `gone` frames, until before frame `end`."""

    object: int
    start: int
    end: int
    gone: int


@dataclass
class EventLog:
    """The events of a clip of `length` frames, and the frames that show each object."""

    length: int
    events: list[Event]
    shown: dict[int, list[list[int]]] = field(default_factory=dict)      # object -> [first frame, frame after the last]

    def see(self, t: int, labels: np.ndarray) -> None:
        """Note the objects seen in frame t, not counting slivers; call it frame by frame. labels: [H, W] uint8."""
        pixels = np.bincount(labels.ravel())
        for number in range(1, len(pixels)):
            if pixels[number] >= _SEEN * labels.size:
                runs = self.shown.setdefault(number, [])
                if runs and runs[-1][1] == t:
                    runs[-1][1] = t + 1
                else:
                    runs.append([t, t + 1])

    def is_shown(self, number: int) -> np.ndarray:
        """[length] bool: the frames that show an object."""
        shown: np.ndarray = np.zeros(self.length, bool)
        for start, end in self.shown.get(number, []):
            shown[start:end] = True
        return shown

    def returns(self, gone: int = 1) -> Iterator[Return]:
        """The returns of all objects after absences of at least `gone` frames."""
        for number, runs in sorted(self.shown.items()):
            for before, run in pairwise(runs):
                if run[0] - before[1] >= gone:
                    yield Return(number, run[0], run[1], run[0] - before[1])

    def write(self, root: Path, clip: str) -> None:
        (root / FOLDER).mkdir(exist_ok=True)
        write_text(root / FOLDER / f"{clip}.json", json.dumps(asdict(self)) + "\n")


def read_events(root: Path, clip: str) -> EventLog:
    """The events of a clip; raises DatasetError if there are none, or something else."""
    path = root / FOLDER / f"{clip}.json"
    if not path.is_file():
        raise DatasetError(f"{path}: expected the events of a clip of make_synthetic.py --kind long, found no such "
                           "file; check the folder of the clips")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        shown = {int(number): runs for number, runs in content["shown"].items()}
        return EventLog(content["length"], [Event(**event) for event in content["events"]], shown)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DatasetError(f"{path}: expected the events of a clip, found something else; generate the clips "
                           "again") from None
