"""Synthetic data sets in the layouts of the field: miniatures of ECSSD, DAVIS 2017 and YouTube-VOS, and long clips.

The same arguments give the same files. Frames are rendered and written one by one; sizes are (height, width).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from dataset.davis_writing import write_davis_clip, write_davis_split
from dataset.errors import DatasetError
from dataset.files import write_text
from dataset.masks import write_image, write_labels
from dataset.synthetic_clip import SyntheticClip
from dataset.synthetic_long import LongClip

YOUTUBE_MIN_FRAMES = 11  # with fewer, no object can appear late
_STEP = 5                # YouTube-VOS annotates every fifth frame
_JPEG = {"quality": 90}


def make_static(
    root: Path, images: int = 200, size: tuple[int, int] = (192, 320), seed: int = 0, progress: bool = True
) -> None:
    """Single salient objects as in ECSSD: `root/00001.jpg` with its mask `root/00001.png` (8-bit gray, 0 or 255)."""
    root.mkdir(parents=True, exist_ok=True)
    for index in tqdm(range(1, images + 1), "static", unit="image", disable=not progress):
        image, labels = SyntheticClip(_clip_seed(seed, "static", index), size, length=1, objects=1).frame(0)
        write_image(root / f"{index:05d}.jpg", image, **_JPEG)
        write_image(root / f"{index:05d}.png", Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)))


def make_davis(
    root: Path, sequences: Mapping[str, int] | None = None, frames: int = 60, size: tuple[int, int] = (192, 320),
    objects: int = 2, seed: int = 0, progress: bool = True,
) -> None:
    """DAVIS 2017 with every frame annotated; `sequences` maps a split (`train`, `val`) to its number of clips.

    The folder of a resolution is always called `480p`, as in the archive.
    """
    sequences = {"train": 12, "val": 4} if sequences is None else sequences
    first = 0
    with tqdm(total=sum(sequences.values()) * frames, desc="DAVIS", unit="frame", disable=not progress) as bar:
        for split, count in sequences.items():
            names = [f"clip-{index:03d}" for index in range(first, first + count)]
            first += count
            for name in names:
                clip = SyntheticClip(_clip_seed(seed, "davis", name), size, frames, objects)
                for _ in write_davis_clip(root, name, clip):
                    bar.update()
            write_davis_split(root, split, names)


def make_long(
    root: Path, clips: int = 6, frames: int = 1000, size: tuple[int, int] = (240, 432), objects: int = 3,
    seed: int = 0, progress: bool = True,
) -> None:
    """Long clips (`synthetic_long.py`) as split `val` of DAVIS 2017, with `Events/<clip>.json` beside the folders."""
    names = [f"long-{index:03d}" for index in range(clips)]
    with tqdm(total=clips * frames, desc="long clips", unit="frame", disable=not progress) as bar:
        for name in names:
            clip = LongClip(_clip_seed(seed, "long", name), size, frames, objects)
            log = clip.log()
            for t, labels in enumerate(write_davis_clip(root, name, clip)):
                log.see(t, labels)
                bar.update()
            log.write(root, name)
    write_davis_split(root, "val", names)


def make_youtube(
    root: Path, videos: Mapping[str, int] | None = None, frames: int = 60, size: tuple[int, int] = (192, 320),
    seed: int = 0, progress: bool = True,
) -> None:
    """YouTube-VOS: `videos` maps a split (`train`, `valid`) to its number of clips of one to three objects.

    Every frame is a JPEG. `train` annotates every fifth frame. `valid` annotates an object only in the frame in which
    it first appears, and every video has a late object; the full ground truth, every fifth frame, is written to
    `valid_ground_truth`. `meta.json` of a split lists the frames, multiples of five, that show each object.
    Raises DatasetError for fewer than YOUTUBE_MIN_FRAMES frames.
    """
    if frames < YOUTUBE_MIN_FRAMES:
        raise DatasetError(f"{root}: expected at least {YOUTUBE_MIN_FRAMES} frames per YouTube-VOS clip, found "
                           f"{frames}; give more --frames")
    videos = {"train": 12, "valid": 4} if videos is None else videos
    with tqdm(total=sum(videos.values()) * frames, desc="YouTube-VOS", unit="frame", disable=not progress) as bar:
        for split, count in videos.items():
            meta = {}
            for index in range(count):
                name = _digest(seed, "youtube", split, index)[:10]
                clip = _youtube_clip(_clip_seed(seed, "youtube", name), size, frames, always_late=split == "valid")
                shown = _write_youtube_clip(root, split, name, clip, bar)
                meta[name] = {
                    "objects": {str(k): {"category": "shape", "frames": shown[k]} for k in sorted(shown)}
                }
            write_text(_folder(root / split) / "meta.json", json.dumps({"videos": meta}, indent=1) + "\n")


def _youtube_clip(seed: int, size: tuple[int, int], frames: int, always_late: bool) -> SyntheticClip:
    rng = np.random.default_rng(seed)
    objects = int(rng.integers(2 if always_late else 1, 4))
    late = _STEP * int(rng.integers(1, frames // (2 * _STEP) + 1))
    is_late = always_late or (objects > 1 and rng.random() < 0.4)
    return SyntheticClip(seed, size, frames, objects, late if is_late else None)


def _write_youtube_clip(
    root: Path, split: str, name: str, clip: SyntheticClip, bar: "tqdm[Any]"
) -> dict[int, list[str]]:
    """Write one video; returns the names of the frames, multiples of five, that show each object."""
    jpegs, pngs = (_folder(root / split / kind / name) for kind in ("JPEGImages", "Annotations"))
    full = _folder(root / "valid_ground_truth" / "Annotations" / name) if split == "valid" else pngs
    shown: dict[int, list[str]] = {}
    for t, (image, labels) in enumerate(clip):
        frame = f"{t:05d}"
        write_image(jpegs / f"{frame}.jpg", image, **_JPEG)
        bar.update()
        if t % _STEP:
            continue
        write_labels(full / f"{frame}.png", labels)
        present = {int(label) for label in np.unique(labels)} - {0}
        newcomers = present - shown.keys()
        if split == "valid" and newcomers:
            write_labels(pngs / f"{frame}.png", np.where(np.isin(labels, list(newcomers)), labels, 0))
        for label in present:
            shown.setdefault(label, []).append(frame)
    return shown


def _clip_seed(*parts: object) -> int:
    return int(_digest(*parts)[:8], 16)


def _digest(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
