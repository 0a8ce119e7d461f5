"""Training clips from annotated videos: three ordered frames with up to two objects (video stage)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.augment import VIDEO_CLIP, VIDEO_FRAME, recolour, video_warps, warp
from dataset.errors import DatasetError
from dataset.masks import VOID, read_image, read_labels

FRAMES = 3
ATTEMPTS = 5          # draws of a clip before one without an object is accepted
REVERSE = 0.5         # probability of playing the clip backwards


@dataclass(frozen=True)
class AnnotatedVideos:
    """Videos as lists of (frame, annotation) paths, annotated frames only.

    Attributes:
        stride: video frames between two annotated ones; the largest gap is counted in them (YouTube-VOS: 5).
        binary: every label > 0 is the one object (DAVIS 2016).
    """

    videos: tuple[tuple[tuple[Path, Path], ...], ...]
    stride: int = 1
    binary: bool = False

    def __len__(self) -> int:
        return len(self.videos)

    def clip(
        self, item: int, crop: int, rng: np.random.Generator, max_gap: int, max_objects: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """One clip: frames [3, crop, crop, 3] uint8 RGB, labels [3, crop, crop] uint8, 0 to `max_objects`.

        Objects are drawn from those visible in the clip's first frame and numbered anew.
        """
        for _ in range(ATTEMPTS):
            frames, labels = self._draw(self.videos[item], crop, rng, max(1, max_gap // self.stride))
            visible = np.setdiff1d(np.unique(labels[0]), (0, VOID))
            if len(visible):
                break
        chosen = rng.permutation(visible)[:max_objects]
        numbers = np.zeros(256, np.uint8)
        numbers[chosen] = np.arange(1, len(chosen) + 1)
        return frames, numbers[labels]

    def _draw(
        self, video: tuple[tuple[Path, Path], ...], crop: int, rng: np.random.Generator, max_gap: int
    ) -> tuple[np.ndarray, np.ndarray]:
        gaps = rng.integers(1, min(max_gap, (len(video) - 1) // (FRAMES - 1)) + 1, FRAMES - 1)
        start = rng.integers(0, len(video) - gaps.sum())
        chosen = start + np.concatenate([[0], gaps.cumsum()])
        if rng.random() < REVERSE:
            chosen = chosen[::-1]
        loaded = [self._load(*video[index]) for index in chosen]
        warps = video_warps(loaded[0][1].shape, crop, FRAMES, rng)
        images, labels = zip(
            *(warp(*frame, matrix, crop) for frame, matrix in zip(loaded, warps, strict=True)), strict=True
        )
        return np.stack(recolour(images, VIDEO_CLIP, VIDEO_FRAME, rng)), np.stack(labels)

    def _load(self, frame: Path, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        image, labels = read_image(frame), read_labels(annotation)
        if image.shape[:2] != labels.shape:
            raise DatasetError(
                f"{annotation}: expected the size of its frame, {image.shape[:2]}, found {labels.shape}; "
                "remove the pair or restore it"
            )
        return image, ((labels > 0).astype(np.uint8) if self.binary else labels)


def read_video_folders(
    frames: Path, annotations: Path, names: list[str] | None = None, stride: int = 1, binary: bool = False
) -> AnnotatedVideos:
    """Videos as folders of `<number>.jpg` frames and `<number>.png` annotations of the same names."""
    for folder in (frames, annotations):
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected a folder of videos, found none; check the source's root and layout")
    names = sorted(path.name for path in annotations.iterdir() if path.is_dir()) if names is None else names
    videos = []
    for name in names:
        pairs = tuple(
            (frames / name / f"{path.stem}.jpg", path) for path in sorted((annotations / name).glob("*.png"))
        )
        if pairs and not pairs[0][0].is_file():
            raise DatasetError(f"{pairs[0][0]}: expected the frame of {pairs[0][1]}, found no such file")
        if len(pairs) >= FRAMES:
            videos.append(pairs)
    if not videos:
        raise DatasetError(f"{annotations}: expected videos of at least {FRAMES} annotated frames, found none")
    return AnnotatedVideos(tuple(videos), stride, binary)
