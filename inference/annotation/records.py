"""What is noted about each segmented frame: quality, cost, key; and which frames to annotate next."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dataset.files import atomic_write
from inference.quality import UNCERTAIN, Quality
from inference.video.suggest import AnnotationAdvisor, Suggestion


@dataclass(frozen=True)
class Record:
    """One frame as it was segmented last."""

    objects: list[int]               # known by then, ascending
    area: list[float]                # of each object, pixels
    confidence: list[float]          # of each object, 0 to 1
    seconds: float                   # in the segmenter
    held: float                      # memory frames held after it
    bytes_held: int

    @property
    def quality(self) -> Quality:
        return Quality(torch.tensor(self.area, dtype=torch.float32), torch.tensor(self.confidence, dtype=torch.float32))


class Records:
    """The record and the mean key of each frame, in arrays over all frames: they do not grow while frames come.

    Args:
        count: of the frames of the video.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._costs = np.full((count, 3), np.nan)      # seconds, frames held, bytes held; NaN: not segmented
        self._masks: dict[int, np.ndarray] = {}        # object -> [count, 2] float32: area, confidence; NaN: not known
        self._keys = np.empty((count, 0), np.float32)  # [count, C_k]; NaN: not known

    def put(self, frame: int, record: Record, key: Tensor | None) -> None:
        """key: of the frame; None: not known anew."""
        if key is not None:
            values = key.numpy(force=True)
            if self._keys.shape[1] != len(values):         # the first one, or that of another network
                self._keys = np.full((self.count, len(values)), np.nan, np.float32)
            self._keys[frame] = values
        for number in self._masks.keys() - set(record.objects):
            self._masks[number][frame] = np.nan
        for number, *values in zip(record.objects, record.area, record.confidence, strict=True):
            if number not in self._masks:
                self._masks[number] = np.full((self.count, 2), np.nan, np.float32)
            self._masks[number][frame] = values
        self._costs[frame] = record.seconds, record.held, record.bytes_held

    def get(self, frame: int) -> Record | None:
        """None if the frame was not segmented."""
        seconds, held, bytes_held = self._costs[frame].tolist()
        if np.isnan(seconds):
            return None
        known = {number: masks[frame].tolist() for number, masks in sorted(dict(self._masks).items())
                 if not np.isnan(masks[frame, 0])}
        area, confidence = ([values[column] for values in known.values()] for column in (0, 1))
        return Record(list(known), area, confidence, seconds, held, int(bytes_held))

    def key(self, frame: int) -> np.ndarray | None:
        """[C_k] float32, the mean key of a frame; None if it is not known."""
        key: np.ndarray = self._keys[frame]
        return None if not len(key) or np.isnan(key[0]) else key

    @property
    def each(self) -> dict[int, Record]:
        """All of them by frame number, ascending."""
        found = ((frame, self.get(frame)) for frame in range(self.count))
        return {frame: record for frame, record in found if record is not None}

    def curves(self) -> dict[int, list[float | None]]:
        """Object -> its confidence in each frame; None: not segmented, or not known yet."""
        return {
            number: [None if value != value else value for value in masks[:, 1].astype(float).round(4).tolist()]
            for number, masks in sorted(dict(self._masks).items()) if not np.isnan(masks).all()
        }

    def lost(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Object -> the frames in which it is absent; and the same for uncertain ones."""
        absent: dict[int, list[int]] = {}
        uncertain: dict[int, list[int]] = {}
        for number, masks in sorted(dict(self._masks).items()):
            area, confidence = masks.T
            gone = area == 0
            for frames, where in ((absent, gone), (uncertain, ~gone & (confidence < UNCERTAIN))):
                if where.any():
                    frames[number] = np.flatnonzero(where).tolist()
        return absent, uncertain

    def suggestions(self, given: Sequence[int]) -> list[Suggestion]:
        """Frames worth annotating next, the best first; named by their numbers."""
        advisor, earlier = AnnotationAdvisor(), set(given)
        for frame in range(self.count):
            key, record = self.key(frame), self.get(frame)
            if key is not None and record is not None:
                confidence = dict(zip(record.objects, record.confidence, strict=True))
                advisor.see(str(frame), confidence, key, frame in earlier)
        return advisor.best(least=1 - UNCERTAIN)

    def save(self, path: Path) -> None:
        numbers = sorted(self._masks)
        masks = np.array([self._masks[number] for number in numbers], np.float32).reshape(-1, self.count, 2)
        with atomic_write(path) as partial, open(partial, "wb") as file:
            np.savez(file, costs=self._costs, objects=np.array(numbers, np.int64), masks=masks, keys=self._keys)

    @classmethod
    def read(cls, path: Path, count: int) -> "Records":
        """What `save` wrote. Raises ValueError if it is missing, damaged or that of another video."""
        found = cls(count)
        try:
            with np.load(path) as arrays:
                numbers, masks = arrays["objects"].tolist(), arrays["masks"]
                found._costs, found._keys = arrays["costs"], arrays["keys"]
        except (OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: expected the records of {count} frames, found {error}") from None
        found._masks = dict(zip(numbers, masks, strict=True))
        if found._costs.shape != (count, 3) or len(found._keys) != count or masks.shape[1:] != (count, 2):
            raise ValueError(f"{path}: expected the records of {count} frames, found those of {len(found._costs)}")
        return found


def why(suggestion: Suggestion) -> tuple[int, str]:
    """The object that is most likely wrong, and the reason in words."""
    number = max(suggestion.wrong, key=lambda number: suggestion.wrong[number])
    return number, f"object {number} is likely wrong here (confidence {1 - suggestion.wrong[number]:.2f})"
