"""What is noted about each segmented frame: quality, cost, key; and which frames to annotate next."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

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
    """The records by frame number, and the mean key of each frame."""

    def __init__(self) -> None:
        self.each: dict[int, Record] = {}
        self.keys: dict[int, np.ndarray] = {}          # [C_k] float32

    def put(self, frame: int, record: Record, key: Tensor | None) -> None:
        """key: of the frame; None: not known anew."""
        self.each[frame] = record
        if key is not None:
            self.keys[frame] = key.numpy(force=True).astype(np.float32)

    def curves(self, count: int) -> dict[int, list[float | None]]:
        """Object -> its confidence in each of the `count` frames; None: not segmented, or not known yet."""
        curves: dict[int, list[float | None]] = {}
        for frame, record in dict(self.each).items():
            for number, confidence in zip(record.objects, record.confidence, strict=True):
                curves.setdefault(number, [None] * count)[frame] = round(confidence, 4)
        return curves

    def lost(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Object -> the frames in which it is absent; and the same for uncertain ones."""
        absent: dict[int, list[int]] = {}
        uncertain: dict[int, list[int]] = {}
        for frame, record in sorted(dict(self.each).items()):
            for number, area, confidence in zip(record.objects, record.area, record.confidence, strict=True):
                if area == 0:
                    absent.setdefault(number, []).append(frame)
                elif confidence < UNCERTAIN:
                    uncertain.setdefault(number, []).append(frame)
        return absent, uncertain

    def suggestions(self, given: Sequence[int]) -> list[Suggestion]:
        """Frames worth annotating next, the best first; named by their numbers."""
        advisor, each = AnnotationAdvisor(), dict(self.each)
        for frame, key in sorted(dict(self.keys).items()):
            if frame in each:
                confidence = dict(zip(each[frame].objects, each[frame].confidence, strict=True))
                advisor.see(str(frame), confidence, key, frame in given)
        return advisor.best(least=1 - UNCERTAIN)

    def state(self) -> dict[str, Any]:
        """For JSON; the keys are in a file of their own."""
        return {str(frame): asdict(record) for frame, record in self.each.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.each = {int(frame): Record(**record) for frame, record in state.items()}

    def save_keys(self, path: Path) -> None:
        frames = sorted(self.keys)
        with atomic_write(path) as partial, open(partial, "wb") as file:
            np.savez(file, frames=np.array(frames, np.int64), keys=np.array([self.keys[frame] for frame in frames]))

    def read_keys(self, path: Path) -> None:
        """Nothing if there are none, or if they are damaged: they are only advice."""
        try:
            with np.load(path) as arrays:
                self.keys = dict(zip(arrays["frames"].tolist(), arrays["keys"], strict=True))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self.keys = {}


def why(suggestion: Suggestion) -> tuple[int, str]:
    """The object that is most likely wrong, and the reason in words."""
    number = max(suggestion.wrong, key=lambda number: suggestion.wrong[number])
    return number, f"object {number} is likely wrong here (confidence {1 - suggestion.wrong[number]:.2f})"
