"""All training data of a stage as one map from sample number to sample: a pure function of (seed, number).

Samples do not depend on workers, ranks, or what was drawn before. So they stay the same after resuming, and with
another number of workers or GPUs.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from dataset.annotated_videos import AnnotatedVideos, read_video_folders, video_names
from dataset.augment import ClipRequest
from dataset.davis import split_names
from dataset.errors import DatasetError
from dataset.static import StaticImages, read_folders, read_pairs

T = TypeVar("T")
_ORDER, _SAMPLE = 0, 1      # streams of random numbers: (seed, stream, number)
_YOUTUBE_STRIDE = 5         # YouTube-VOS annotates every fifth frame
_DAVIS_RESOLUTION = "480p"
_MOST_PASTED = 5            # objects of other images
_STRONGEST = 8.0            # of photometric changes: beyond 10, brightness could be negative


@dataclass(frozen=True)
class SourceConfig:
    """One row of a stage's data: a data set, its folder, and how often it is repeated."""

    root: str
    layout: Literal["pairs", "folders", "instances", "davis2016", "davis2017", "youtube"]
    name: str = ""
    repeat: int = 1
    images: str = "images"          # layouts "folders" and "instances": their two folders, under root
    masks: str = "masks"
    paste: tuple[int, int] = (0, 0)     # still images: so many objects of other images are pasted onto a clip
    split: str = "train"            # davis: the list in ImageSets
    stride: int | None = None       # video frames between two annotated ones; None: youtube 5, davis 1
    list: str | None = None         # file of names, under root or absolute: only these videos, images or class folders

    def __post_init__(self) -> None:
        if self.stride is not None and self.stride < 1:
            raise DatasetError(f"data.sources: expected a stride of at least 1 in '{self.name or self.layout}', "
                               f"found {self.stride}; remove it to use the default of the layout")
        if not 0 <= self.paste[0] <= self.paste[1] <= _MOST_PASTED or (any(self.paste) and not self.still):
            raise DatasetError(f"data.sources: expected paste as two rising numbers from 0 to {_MOST_PASTED}, for "
                               f"still images, found {list(self.paste)} in '{self.name or self.layout}'; remove it to "
                               "paste no objects")

    @property
    def still(self) -> bool:
        """Whether its items are still images."""
        return self.layout in ("pairs", "folders", "instances")


@dataclass(frozen=True)
class ClipConfig:
    """The clips of a stage."""

    sources: tuple[SourceConfig, ...]
    crop: int = 384                 # pixels, a multiple of 16
    frames: int = 3                 # of a clip; videos with fewer annotated frames are skipped
    max_objects: int = 2
    thin_plate: float = 0.0         # probability of a thin-plate-spline warp of still images (STCN: 0.33)
    video_area: tuple[float, float] = (0.36, 1.0)               # share of a video frame that its crop shows
    photometric: float = 1.0        # factor on the ranges of all color changes; 0: none
    skip_small: bool = False        # videos: no object that is small in the clip's first frame but not later (BL30K)
    gaps: tuple[int, ...] = (5, 10, 15, 20, 25, 5)              # largest gap, in video frames ...
    gap_switches: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.9)  # ... which changes at these shares of the iterations

    def __post_init__(self) -> None:
        if self.crop < 16 or self.crop % 16:
            raise DatasetError(f"data.crop: expected a multiple of 16, found {self.crop}")
        if self.frames < 3:
            raise DatasetError(f"data.frames: expected at least 3, found {self.frames}")
        if not 0 <= self.photometric <= _STRONGEST:
            raise DatasetError(f"data.photometric: expected a factor from 0 to {_STRONGEST:g}, found "
                               f"{self.photometric:g}; 1 is the usual strength")
        if not 0 < self.video_area[0] <= self.video_area[1] <= 1:
            raise DatasetError(f"data.video_area: expected two rising shares in (0, 1], found {self.video_area}")
        if self.max_objects < 1:
            raise DatasetError(f"data.max_objects: expected at least 1, found {self.max_objects}")
        if len(self.gaps) != len(self.gap_switches) + 1:
            raise DatasetError(f"data.gaps: expected one more than gap_switches, found {len(self.gaps)}")

    def max_gap(self, progress: float) -> int:
        """Largest gap at `progress` in [0, 1) through the stage (docs/METHOD.md)."""
        return self.gaps[sum(progress >= switch for switch in self.gap_switches)]


class Clips(Dataset[dict[str, torch.Tensor | int]]):
    """Sample i of a run: {"frames" [N, 3, crop, crop] uint8, "labels" [N, crop, crop] uint8, "num_objects",
    "index", "gap"}, with N = `config.frames`.

    Args:
        config: sources and sampling. seed: of the run. batch_size: samples per iteration, over all ranks.
        iterations: of the stage; with batch_size, they determine the schedule of gaps.
    """

    def __init__(self, config: ClipConfig, seed: int, batch_size: int, iterations: int) -> None:
        self.config, self.seed, self.batch_size, self.iterations = config, seed, batch_size, iterations
        cv2.setNumThreads(0)        # there are many loading processes; each uses one core
        self.sources = [_read(source, config.frames) for source in config.sources]
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
        """Sample `index`; raises DatasetError if one of its files cannot be used."""
        number, item = self.rows[self._order(index // len(self.rows))[index % len(self.rows)]]
        progress = (index // self.batch_size) / self.iterations
        gap = self.config.max_gap(progress)
        config = self.config
        frames, labels = self.sources[number].clip(
            item, ClipRequest(config.crop, gap, config.max_objects, config.thin_plate, config.video_area,
                              config.skip_small, config.frames, config.photometric),
            np.random.default_rng((self.seed, _SAMPLE, index)),
        )
        return {
            "frames": torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2))),
            "labels": torch.from_numpy(np.ascontiguousarray(labels, np.uint8)),
            "num_objects": max(1, int(labels.max())),
            "index": index,
            "gap": gap,
        }

    @functools.lru_cache(maxsize=2)  # noqa: B019  (one instance per process, which lives as long as it)
    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng((self.seed, _ORDER, epoch)).permutation(len(self.rows))


def _read(source: SourceConfig, frames: int) -> StaticImages | AnnotatedVideos:
    root = Path(source.root).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: expected the data set '{source.name or source.layout}', found no such folder; "
                           "set its root in the configuration")
    if not source.still:
        return _read_videos(source, root, frames)
    images = read_pairs(root) if source.layout == "pairs" else read_folders(root, source.images, source.masks)
    pairs = tuple(_listed(source, root, images.pairs, lambda pair: {pair[0].stem, pair[0].parent.name}))
    if any(source.paste) and len(pairs) < 2:
        raise DatasetError(f"{root}: expected at least two images to paste objects of one onto another, found "
                           f"{len(pairs)}; remove paste from the source")
    return StaticImages(pairs, source.layout == "instances", source.paste)


def _read_videos(source: SourceConfig, root: Path, shortest: int) -> AnnotatedVideos:
    frames, annotations = root / "JPEGImages", root / "Annotations"
    if source.layout == "youtube":
        names, stride = video_names(annotations), _YOUTUBE_STRIDE
    else:
        frames, annotations = frames / _DAVIS_RESOLUTION, annotations / _DAVIS_RESOLUTION
        year = int(source.layout.removeprefix("davis"))
        names, stride = split_names(root, year, source.split, _DAVIS_RESOLUTION), 1
    names = _listed(source, root, names, lambda name: {name})
    return read_video_folders(frames, annotations, names, source.stride or stride, source.layout == "davis2016",
                              shortest)


def _listed(source: SourceConfig, root: Path, items: Sequence[T], names: Callable[[T], set[str]]) -> Sequence[T]:
    """The items that the source's list names, or all if it has no list; `names` gives the names of an item."""
    if source.list is None:
        return items
    path = root / Path(source.list).expanduser()       # an absolute path is kept
    wanted = _read_list(path)
    known = set().union(*map(names, items))
    missing = [name for name in wanted if name not in known]
    if missing:
        raise DatasetError(f"{path}: expected names of videos, images or class folders of {root}, found {len(missing)} "
                           f"that are not there, the first {missing[0]}; correct the list or the root of the source")
    return [item for item in items if not names(item).isdisjoint(wanted)]


def _read_list(path: Path) -> dict[str, None]:
    """The lines of a text file as an ordered set."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DatasetError(f"{path}: expected a list of names, found no text file; check the source's list") from None
    names = dict.fromkeys(line.strip() for line in lines if line.strip())
    if not names:
        raise DatasetError(f"{path}: expected names, one per line, found none; remove the list to use all")
    return names
