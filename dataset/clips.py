"""All training data of a stage as one map from a sample's number to a sample: a pure function of (seed, i).

Nothing depends on workers, ranks, or what was drawn before, so resuming, other numbers of workers and other
numbers of GPUs see the same samples.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.errors import DatasetError
from dataset.static import StaticImages, read_folders, read_pairs
from dataset.video import AnnotatedVideos, read_video_folders

_ORDER, _SAMPLE = 0, 1      # streams of random numbers: (seed, stream, number)


@dataclass(frozen=True)
class SourceConfig:
    """One row of a stage's data: a data set, where it is, and how often it counts."""

    root: str
    layout: Literal["pairs", "folders", "davis2016", "davis2017", "youtube"]
    name: str = ""
    repeat: int = 1
    images: str = "images"          # layout "folders": the two folders under root
    masks: str = "masks"
    split: str = "train"            # davis: the list in ImageSets


@dataclass(frozen=True)
class ClipConfig:
    """What clips a stage is made of."""

    sources: tuple[SourceConfig, ...]
    crop: int = 384                 # pixels, a multiple of 16
    max_objects: int = 2
    gaps: tuple[int, ...] = (5, 10, 15, 20, 25, 5)              # largest gap in video frames ...
    gap_switches: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.9)  # ... switched at these shares of the iterations

    def __post_init__(self) -> None:
        if self.crop % 16:
            raise DatasetError(f"data.crop: expected a multiple of 16, found {self.crop}")
        if len(self.gaps) != len(self.gap_switches) + 1:
            raise DatasetError(f"data.gaps: expected one more than gap_switches, found {len(self.gaps)}")

    def max_gap(self, progress: float) -> int:
        """Largest gap at `progress` in [0, 1) through the stage (docs/METHOD.md)."""
        return self.gaps[sum(progress >= switch for switch in self.gap_switches)]


class Clips(Dataset):
    """Sample i of a run: {"frames" [3, 3, crop, crop] uint8, "labels" [3, crop, crop] int64, "num_objects",
    "index", "gap"}.

    Args:
        config: sources and sampling. seed: of the run. batch_size: samples an iteration, all ranks together.
        iterations: of the stage; with batch_size it places the schedule of gaps.
    """

    def __init__(self, config: ClipConfig, seed: int, batch_size: int, iterations: int) -> None:
        self.config, self.seed, self.batch_size, self.iterations = config, seed, batch_size, iterations
        cv2.setNumThreads(0)        # loading processes are many; each stays on one core
        self.sources = [_read(source) for source in config.sources]
        self.rows = [
            (number, item)
            for number, (source, row) in enumerate(zip(self.sources, config.sources, strict=True))
            for item in list(range(len(source))) * row.repeat
        ]
        if not self.rows:
            raise DatasetError("data.sources: expected at least one source, found none")

    def __len__(self) -> int:
        return self.batch_size * self.iterations

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | int]:
        """Sample `index`; raises DatasetError where one of its files cannot be used."""
        number, item = self.rows[self._order(index // len(self.rows))[index % len(self.rows)]]
        progress = (index // self.batch_size) / self.iterations
        gap = self.config.max_gap(progress)
        frames, labels = self.sources[number].clip(
            item, crop=self.config.crop, rng=np.random.default_rng((self.seed, _SAMPLE, index)),
            max_gap=gap, max_objects=self.config.max_objects,
        )
        return {
            "frames": torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))),
            "labels": torch.from_numpy(labels.astype(np.int64)),
            "num_objects": max(1, int(labels.max())),
            "index": index,
            "gap": gap,
        }

    @functools.lru_cache(maxsize=2)  # noqa: B019  (one instance a process, for its whole life)
    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self.rows))


def _read(source: SourceConfig) -> StaticImages | AnnotatedVideos:
    root = Path(source.root).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: expected the data set '{source.name or source.layout}', found no such folder; "
                           "set its root in the configuration")
    if source.layout == "pairs":
        return read_pairs(root)
    if source.layout == "folders":
        return read_folders(root, source.images, source.masks)
    if source.layout == "youtube":
        return read_video_folders(root / "JPEGImages", root / "Annotations", stride=5)
    year = source.layout.removeprefix("davis")
    listed = root / "ImageSets" / year / f"{source.split}.txt"
    if not listed.is_file():
        raise DatasetError(f"{listed}: expected the list of DAVIS {year} sequences, found none; check the layout")
    names = listed.read_text().split()
    return read_video_folders(
        root / "JPEGImages/480p", root / "Annotations/480p", names, binary=source.layout == "davis2016"
    )
