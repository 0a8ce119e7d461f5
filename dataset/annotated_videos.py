"""Training clips from annotated videos: ordered frames, usually three, with one or more objects (video stage)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.augment import VIDEO_CLIP, VIDEO_FRAME, ClipRequest, recolor, video_warps, warp
from dataset.chosen_objects import number_objects, visible_objects
from dataset.errors import DatasetError
from dataset.image_files import by_frame_name, list_images
from dataset.label_maps import labels_at_size
from dataset.masks import read_image, read_labels

ATTEMPTS = 5          # number of draws before a clip without an object is accepted
REVERSE = 0.5         # probability of playing the clip backwards


@dataclass(frozen=True)
class AnnotatedVideos:
    """Videos as lists of (frame, annotation) paths, annotated frames only.

    Attributes:
        stride: distance of two annotated frames, in video frames (YouTube-VOS: 5); the largest gap is in video frames.
        binary: every label above 0 is the one object (DAVIS 2016).
    """

    videos: tuple[tuple[tuple[Path, Path], ...], ...]
    stride: int = 1
    binary: bool = False

    def __len__(self) -> int:
        return len(self.videos)

    def clip(self, item: int, request: ClipRequest, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One clip: frames [N, crop, crop, 3] uint8 RGB, labels [N, crop, crop] uint8, 0 to `request.max_objects`.

        Objects are drawn from those visible in the first frame of the clip (`request.skip_small`: and not small there)
        and numbered from 1. Raises DatasetError for files that cannot be read and for an annotation of another shape
        than its frame.
        """
        for _ in range(ATTEMPTS):
            frames, labels = self._draw(self.videos[item], request, rng)
            visible = visible_objects(labels[0])
            if request.skip_small:
                visible = _large_enough(labels, visible)
            if len(visible):
                break
        return frames, number_objects(labels, visible, request.max_objects, rng)

    def _draw(
        self, video: tuple[tuple[Path, Path], ...], request: ClipRequest, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        crop, steps, max_gap = request.crop, request.frames - 1, max(1, request.max_gap // self.stride)
        gaps = rng.integers(1, min(max_gap, (len(video) - 1) // steps) + 1, steps)
        start = rng.integers(0, len(video) - gaps.sum())
        chosen = start + np.concatenate([[0], gaps.cumsum()])
        if rng.random() < REVERSE:
            chosen = chosen[::-1]
        loaded = [self._load(*video[index]) for index in chosen]
        warps = video_warps(loaded[0][1].shape, crop, request.frames, rng, request.area)
        images, labels = zip(
            *(warp(*frame, matrix, crop) for frame, matrix in zip(loaded, warps, strict=True)), strict=True
        )
        return np.stack(recolor(images, VIDEO_CLIP, VIDEO_FRAME, rng, request.photometric)), np.stack(labels)

    def _load(self, frame: Path, annotation: Path) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(frame)
        labels = labels_at_size(read_labels(annotation), image.shape[:2], annotation, frame)
        return image, ((labels > 0).astype(np.uint8) if self.binary else labels)


def _large_enough(labels: np.ndarray, objects: np.ndarray) -> np.ndarray:
    """The objects whose first mask tells what they are, as STCN chooses them in BL30K. labels: [N, crop, crop].

    In a crop of 384 x 384, a mask of more than 900 pixels does; one of more than 100 does if the object has fewer than
    400 in all other frames, so that it is always small.
    """
    unit = labels[0].size / 384 ** 2
    areas = np.array([[(frame == number).sum() for number in objects] for frame in labels])
    first, later = areas[0], areas[1:].max(0)
    return objects[(first > 900 * unit) | ((first > 100 * unit) & (later < 400 * unit))]


def video_names(folder: Path) -> list[str]:
    """The videos in a folder of videos, sorted; raises DatasetError if there is no such folder."""
    return sorted(path.name for path in _present(folder).iterdir() if path.is_dir())


def read_video_folders(
    frames: Path, annotations: Path, names: Sequence[str], stride: int = 1, binary: bool = False,
    shortest: int = ClipRequest.frames,
) -> AnnotatedVideos:
    """Videos as folders of frames and of annotations of the same names, in natural order.

    Videos with fewer than `shortest` annotations are skipped. Raises DatasetError for a video of `names` or a frame
    that is missing, and if no video is left.
    """
    for folder in (frames, annotations):
        _present(folder)
    videos = []
    for name in names:
        if not (annotations / name).is_dir():
            raise DatasetError(f"{annotations / name}: expected the annotations of a listed video, found no such "
                               "folder; restore them, or remove the video from the list")
        masks = by_frame_name(list_images(annotations / name))
        images = by_frame_name(list_images(frames / name)) if masks else {}
        if missing := [stem for stem in masks if stem not in images]:
            raise DatasetError(f"{frames / name / missing[0]}.jpg: expected the frame of {masks[missing[0]]}, found "
                               "no such file; restore the frame, or remove the annotation")
        if len(masks) >= shortest:
            videos.append(tuple((images[stem], mask) for stem, mask in masks.items()))
    if not videos:
        raise DatasetError(f"{annotations}: expected videos of at least {shortest} annotated frames, found none; check "
                           "the source's root and list")
    return AnnotatedVideos(tuple(videos), stride, binary)


def _present(folder: Path) -> Path:
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder of videos, found none; check the source's root and layout")
    return folder
