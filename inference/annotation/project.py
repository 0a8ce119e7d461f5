"""The files of an annotation in its output folder: everything is there, so that it can be continued at any time.

    OUTPUT/given/<frame>.png       the given masks, as scripts/segment_video.py --mask takes them
    OUTPUT/.annotate/              masks, passes, states, settings, quality, memory: for this program alone
    OUTPUT/masks/, run.json, ...   written by an export, as by scripts/segment_video.py
"""

import json
import zlib
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from dataset.errors import DatasetError
from dataset.masks import VOID, in_pixels, read_labels, write_labels
from inference.annotation.video import Video
from inference.errors import RunError
from inference.run.record import read_record, write_json

_REMEDY = "choose another --output, or remove the folder .annotate in it"


class Project:
    """Claims the folder for a video; a new folder, or one of an earlier annotation of the same video.

    Raises RunError for a folder of other origin, for one of another video, and for one that is open in another process.
    """

    def __init__(self, root: Path, video: Video) -> None:
        self.root, self.own, self.video = root, root / ".annotate", video
        self.file, self.state_file, self.choices_file = (
            self.own / f"{name}.json" for name in ("project", "state", "choices"))
        if root.exists() and not root.is_dir():
            raise RunError(f"{root}: expected a folder for the annotation, found a file; choose another --output")
        if root.is_dir() and any(path.name != "example" for path in root.iterdir()) and not self.file.is_file():
            raise RunError(f"{root}: expected a new folder, or one of an earlier annotation, found other files in it; "
                           "choose another --output")
        for folder in (root / "given", self.own):
            folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.own / "lock", root)
        if not self.file.is_file():
            write_json(self.file, video.identity())
        found = read_record(self.file, "an annotation", ["name"], _REMEDY, _REMEDY)
        if found != video.identity():
            raise RunError(f"{root}: expected an annotation of {video.identity()}, found one of {found}; choose "
                           "another --output")

    def given_file(self, frame: int) -> Path:
        return self.root / "given" / f"{self.video.names[frame]}.png"

    def given(self) -> dict[int, np.ndarray]:
        """Frame -> its given mask [H, W] uint8, as the files are. Raises DatasetError for one that cannot be used."""
        found = {path.stem for path in (self.root / "given").glob("*.png")}
        given = {frame: self.read_given(frame) for frame, name in enumerate(self.video.names) if name in found}
        for frame, labels in given.items():
            if labels.shape != self.video.size or labels.max() == VOID or not labels.any():
                raise DatasetError(f"{self.given_file(frame)}: expected object numbers from 1 to 254 in "
                                   f"{in_pixels(self.video.size)}, found {labels.min()} to {labels.max()} in "
                                   f"{in_pixels(labels.shape)}; remove it, or save it again")
        return given

    def read_given(self, frame: int) -> np.ndarray:
        """[H, W] uint8."""
        return read_labels(self.given_file(frame))

    def write_given(self, frame: int, labels: np.ndarray | None) -> None:
        """None: the frame has no given mask."""
        if labels is None:
            self.given_file(frame).unlink(missing_ok=True)
        else:
            write_labels(self.given_file(frame), labels)

    def choices(self) -> dict[str, Any]:
        """What the user has chosen: objects and locks."""
        return _read(self.choices_file, {"objects": [], "locked": []})

    def save_choices(self, objects: list[dict[str, Any]], locked: list[int]) -> None:
        write_json(self.choices_file, {"objects": objects, "locked": locked})

    def state(self) -> dict[str, Any] | None:
        """What `save_state` wrote; None if nothing is usable, and then all frames are segmented again."""
        return _read(self.state_file, {}) or None

    def save_state(self, state: dict[str, Any]) -> None:
        write_json(self.state_file, state)

    def close(self) -> None:
        """Another process may use the folder."""
        self._lock.close()


def checksum(labels: np.ndarray) -> int:
    return zlib.crc32(labels.tobytes())


def _read(file: Path, otherwise: dict[str, Any]) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return otherwise
    return content if isinstance(content, dict) else otherwise


def _locked(path: Path, root: Path) -> TextIO:
    """A file that one process holds. The system frees it when the process ends, however it ends."""
    file = open(path, "w", encoding="utf-8")            # noqa: SIM115
    try:
        import fcntl  # not on Windows, where there is no such check
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError:
        file.close()
        raise RunError(f"{root}: expected a folder that no other process annotates, found one that is open in another "
                       "annotate.py; stop that one, or choose another --output") from None
    return file
