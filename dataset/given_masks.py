"""The masks that a user gives for a video, and the frames they are given at; checked before anything is computed."""

import warnings
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dataset.errors import DatasetError
from dataset.folder import Frame
from dataset.label_maps import labels_at_size, read_label_map
from dataset.masks import VOID, labels_in
from dataset.videofile import VideoSource

_SHOWN = 5      # masks that `describe` names


class GivenMasks:
    """Masks by the index of their frame. A mask is read when it is needed, so that none is kept in memory.

    A single mask belongs to the first frame. If there are several, all of them have the file names (without suffix)
    of their frames, or all have the numbers of their frames, counted from 0 (00042.png). With `anywhere`, this holds
    for a single mask too, unless its name says nothing about a frame.

    Raises DatasetError for masks that are no label maps of the video's size, for names that match no frame, and for an
    empty first mask.
    """

    def __init__(self, paths: Sequence[Path | str], video: VideoSource, anywhere: bool = False) -> None:
        self.video = video
        self.paths = dict(sorted(_by_frame([Path(path).expanduser() for path in paths], video, anywhere).items()))
        for index, path in self.paths.items():
            if self.at(index) is None:
                if index == min(self.paths):
                    raise DatasetError(f"{path}: expected an object in the first mask, found only 0 (background); "
                                       "paint the pixels of each object with its number, 1 to 254")
                warnings.warn(f"{path}: expected an object, found only 0 (background); it is ignored", stacklevel=2)
            if video.announced and index >= video.announced:       # exact for folders: an error before this
                warnings.warn(f"{path}: {video.name} announces {video.announced} frames, 00000 to "
                              f"{video.announced - 1:05d}; there may be none for this mask", stacklevel=2)

    def at(self, index: int) -> np.ndarray | None:
        """The label map [H, W] uint8 of a frame, 0 background, 1..254 objects; None if it has none."""
        path = self.paths.get(index)
        if path is None:
            return None
        labels = labels_at_size(read_label_map(path), self.video.size, path, Path(self.video.name))
        if labels_in(labels)[-1] == VOID:
            labels = _without_void(labels, path, alone=len(self.paths) == 1)
        return labels if labels.any() else None

    def annotate(self, frames: Iterable[Frame], limit: int | None = None) -> Generator[Frame, None, None]:
        """Yield the first `limit` frames with their masks. Raises DatasetError at the end if a mask has no frame."""
        index = -1
        for index, frame in enumerate(frames):
            yield replace(frame, annotation=self.at(index))
            if index + 1 == limit:
                return
        self.refuse_after(index)

    def refuse_after(self, index: int) -> None:
        """Raises DatasetError if a mask belongs to a frame after this one, the last of the video."""
        if late := [path for number, path in self.paths.items() if number > index]:
            raise DatasetError(f"{late[0]}: expected the number of a frame of {self.video.name}, found that it ends "
                               f"after frame {index:05d}; rename the mask or leave it out")

    def describe(self) -> str:
        """One line that says which objects are given at which frame."""
        names = self.video.frame_names or {index: f"{index:05d}" for index in self.paths}
        parts = [f"objects {', '.join(map(str, labels_in(labels)[1:]))} at frame {names[index]} ({path.name})"
                 for index, path in list(self.paths.items())[:_SHOWN] if (labels := self.at(index)) is not None]
        more = len(self.paths) - _SHOWN
        return "given: " + "; ".join(parts) + (f"; and {more} more masks" if more > 0 else "")


def _by_frame(paths: list[Path], video: VideoSource, anywhere: bool) -> dict[int, Path]:
    names = {name: index for index, name in enumerate(video.frame_names or [])}
    stem = paths[0].stem if len(paths) == 1 else ""
    if stem and not (anywhere and (stem in names or stem.isdecimal())):
        meant = names.get(stem, int(stem) if stem.isdecimal() and not names else 0)
        if meant:
            warnings.warn(f"{paths[0]}: given at the first frame, because it is the only mask; its name says frame "
                          f"{stem}", stacklevel=2)
        return {0: paths[0]}
    by_stem = all(path.stem in names for path in paths)
    chosen: dict[int, Path] = {}
    for path in paths:
        if not by_stem and not path.stem.isdecimal():
            raise DatasetError(f"{path}: expected masks named by their frames' numbers (00042.png)"
                               f"{' or like their frames' if names else ''}, found another name among several masks; "
                               "rename it")
        index = names[path.stem] if by_stem else int(path.stem)
        if names and index >= len(names):
            raise DatasetError(f"{path}: expected the name or number of a frame of {video.name}, found no such frame "
                               f"among its {len(names)}; rename the mask or leave it out")
        if (other := chosen.setdefault(index, path)) is not path:
            raise DatasetError(f"{path}: expected one mask per frame, found {other} for the same frame; leave one out")
    return chosen


def _without_void(labels: np.ndarray, path: Path, alone: bool) -> np.ndarray:
    """Void becomes background. A mask of only 0 and 255 is object 1 if it is the only mask (`alone`)."""
    if labels_in(labels) in ([0, VOID], [VOID]):
        if not alone:
            raise DatasetError(f"{path}: expected object numbers 1, 2, ..., found only 0 and 255; with several masks "
                               "the numbers say which object is which: replace 255 by the object's")
        warnings.warn(f"{path}: a mask of 0 and 255 is read as one object, number 1", stacklevel=2)
        single: np.ndarray = (labels == VOID).astype(np.uint8)
        return single
    warnings.warn(f"{path}: label 255 is void, so its {int((labels == VOID).sum())} pixels count as background; "
                  "objects are numbered 1 to 254", stacklevel=2)
    return np.where(labels == VOID, 0, labels).astype(np.uint8)
