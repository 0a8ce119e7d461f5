"""Data sets in the layout of DAVIS 2017: what commands that make videos write."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dataset.files import write_text
from dataset.masks import write_image, write_labels


def write_davis_clip(
    root: Path, name: str, clip: Iterable[tuple[np.ndarray, np.ndarray]], quality: int = 90
) -> Iterator[np.ndarray]:
    """Write the frames [H, W, 3] and labels [H, W] of a clip, uint8, one after another; yields the labels of each.

    The folder of the resolution is always called `480p`, as in the archive. quality: of the JPEGs.
    """
    jpegs, pngs = (root / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
    for folder in (jpegs, pngs):
        folder.mkdir(parents=True, exist_ok=True)
    for t, (image, labels) in enumerate(clip):
        write_image(jpegs / f"{t:05d}.jpg", image, quality=quality)
        write_labels(pngs / f"{t:05d}.png", labels)
        yield labels


def write_davis_split(root: Path, split: str, names: Sequence[str]) -> None:
    """Write the list of a split, when its clips are complete."""
    lists = root / "ImageSets" / "2017"
    lists.mkdir(parents=True, exist_ok=True)
    write_text(lists / f"{split}.txt", "".join(f"{name}\n" for name in names))
