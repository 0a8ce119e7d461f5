"""What a session keeps of its frames, compressed: final masks, and the results of each pass until both are there."""

import json
import shutil
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dataset.masks import read_labels, write_labels
from inference.session.passes import Segmented


class Masks:
    """Label maps [H, W] uint8 by frame number: compressed in memory, or as PNGs in a folder."""

    def __init__(self, size: tuple[int, int], folder: Path | None = None) -> None:
        self.size, self.folder = size, folder
        self._held: dict[int, bytes] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, index: int) -> bool:
        return index in self._held

    def __iter__(self) -> Iterator[int]:
        return iter(self._held)

    def adopt(self, count: int) -> None:
        """The files of the first `count` frames that lie in the folder already are masks too."""
        self._held |= {index: b"" for index in range(count) if self._file(index).is_file()}

    def put(self, index: int, labels: np.ndarray) -> None:
        if self.folder is None:
            self._held[index] = zlib.compress(labels.tobytes(), 1)
        else:
            write_labels(self._file(index), labels)
            self._held[index] = b""

    def get(self, index: int) -> np.ndarray:
        if self.folder is None:
            return np.frombuffer(zlib.decompress(self._held[index]), np.uint8).reshape(self.size).copy()
        return read_labels(self._file(index))

    def _file(self, index: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{index:05d}.png"


class Waiting:
    """The results of one pass by frame number, in files of a temporary folder, so that memory stays bounded.

    Probabilities are rounded to 1/255; label maps are exact. The folder goes when the object does.

    Args:
        parent: where the temporary folder lies; None: where the system has such folders.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=".passes-", dir=parent))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def move(self, folder: Path) -> None:
        """The results lie in `folder` from now on, also those that are there already; it stays."""
        self._remove()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, index: int, found: Segmented | None) -> None:
        path = self.folder / f"{index}"
        if found is None:
            path.unlink(missing_ok=True)
            return
        levels = (found.probabilities[1:] * 255).round().to(torch.uint8).cpu().numpy()
        head = json.dumps([found.objects, found.distances, levels.shape]).encode() + b"\n"
        path.write_bytes(head + zlib.compress(levels.tobytes() + found.labels.tobytes(), 1))

    def get(self, index: int) -> Segmented | None:
        path = self.folder / f"{index}"
        if not path.exists():
            return None
        head, _, body = path.read_bytes().partition(b"\n")
        objects, distances, shape = json.loads(head)
        values = np.frombuffer(zlib.decompress(body), np.uint8).reshape(shape[0] + 1, *shape[1:])
        masks = torch.from_numpy(values[:-1] / np.float32(255))
        background = (1 - masks.sum(0, keepdim=True)).clamp(min=0)
        return Segmented(objects, torch.cat([background, masks]), values[-1].copy(), distances)
