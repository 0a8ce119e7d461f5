"""The clip on which an export is compared: frames of the right size, and three objects to follow."""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from dataset.errors import DatasetError
from dataset.synthetic_clip import SyntheticClip
from dataset.videofile import open_video
from model.geometry import grid_size

OBJECTS = 3


def clip_of(video: Path | None, size: tuple[int, int], count: int) -> tuple[list[np.ndarray], np.ndarray, str]:
    """Frames [H, W, 3] of `size`, a label map [H, W] for the first of them, and what they are, for people.

    Args:
        video: a file or a folder of images, of which the first `count` frames are taken; frames of another size are
        resized. Their objects are the thirds of an ellipse in the middle. None: a generated clip with its own objects.
    Raises DatasetError for a video that cannot be read.
    """
    if video is None:
        pairs = list(SyntheticClip(seed=0, size=size, length=count, objects=OBJECTS))
        return [frame for frame, _ in pairs], pairs[0][1], f"{count} frames of a generated clip"
    if not video.exists():
        raise DatasetError(f"{video}: expected a video file or a folder of images, found nothing there; check --video")
    frames = [of_size(frame.image, size) for frame in islice(open_video(video), count)]
    height, width = frames[0].shape[:2]
    ellipse = np.zeros((height, width), np.uint8)
    cv2.ellipse(ellipse, (width // 2, height // 2), (width // 4, height // 4), 0, 0, 360, 1, -1)
    return frames, thirds(ellipse > 0), f"{len(frames)} frames of {video.name}"


def of_size(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame [H, W, 3], or labels [H, W], resized if its cells would not be those of `size`."""
    if grid_size((image.shape[0], image.shape[1])) == grid_size(size):
        return image
    interpolation = cv2.INTER_AREA if image.ndim == 3 else cv2.INTER_NEAREST_EXACT
    return cv2.resize(image, size[::-1], interpolation=interpolation)


def thirds(inside: np.ndarray) -> np.ndarray:
    """A mask [H, W] bool, cut into OBJECTS parts side by side: labels [H, W] uint8."""
    columns = np.flatnonzero(inside.any(0))
    offset, width = columns[0], columns[-1] + 1 - columns[0]
    parts = np.clip((np.arange(inside.shape[1]) - offset) * OBJECTS // width, 0, OBJECTS - 1) + 1
    return (inside * parts).astype(np.uint8)
