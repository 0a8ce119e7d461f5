"""Smaller copies of data sets: frames with their masks, a folder that resumes, and the work in parallel."""

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.files import atomic_write, write_text
from dataset.image_files import image_size
from dataset.label_maps import is_rounded
from dataset.masks import read_image, write_image, write_labels

T = TypeVar("T")
QUALITY = 95                        # of the JPEGs that are written
_SETTINGS = ".prepared.json"


def claim(source: Path, target: Path, short_side: int, usual: int) -> None:
    """Record the short side in `target`, the folder of the copy; it may hold an unfinished copy of the same short side.

    usual: the short side that the message suggests. Raises DatasetError if it holds something else.
    """
    if short_side < 1:
        raise DatasetError(f"--short-side: expected at least 1, found {short_side}; usual is {usual}")
    if target.resolve() == source.resolve():
        raise DatasetError(f"{target}: expected another folder than --input, found the same; choose another --output")
    settings = target / _SETTINGS
    if not settings.is_file():
        if target.exists() and any(target.iterdir()):
            raise DatasetError(f"{target}: expected an empty folder or an output of this command, found other files; "
                               "choose another --output")
        target.mkdir(parents=True, exist_ok=True)
        write_text(settings, json.dumps({"short_side": short_side}) + "\n")
    found = json.loads(settings.read_text())["short_side"]
    if found != short_side:
        raise DatasetError(f"{target}: expected files of short side {short_side}, found files of {found}; "
                           "choose another --output")


def in_parallel(job: Callable[[T], None], items: Sequence[T], workers: int | None, name: str, unit: str) -> None:
    """Run the job on every item in threads, with a progress bar. After an error, no further item is begun."""
    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(job, item) for item in items]
        try:
            for finished in tqdm(as_completed(jobs), name, len(jobs), unit=unit):
                finished.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)      # otherwise all others would be written before the error shows
            raise


def shrink_image(path: Path, folder: Path, short_side: int) -> tuple[int, int] | None:
    """Write an image to a folder, under its name, with a shorter side of at most `short_side`: averaged, as a JPEG.

    Returns the new (height, width), or None for an image that is small enough and copied.
    """
    height, width = image_size(path)
    scale = short_side / min(width, height)
    if scale >= 1:
        copy(path, folder / path.name)
        return None
    size = round(height * scale), round(width * scale)
    resized = cv2.resize(read_image(path), size[::-1], interpolation=cv2.INTER_AREA)
    write_image(folder / f"{path.stem}.jpg", resized, quality=QUALITY)
    return size


def shrink_mask(
    path: Path, folder: Path, size: tuple[int, int] | None, read: Callable[[Path], np.ndarray]
) -> None:
    """Write a mask to a folder in the new size of its image, which `shrink_image` returned, as an indexed PNG.

    Raises DatasetError for a mask of another shape than its image.
    """
    if size is None:
        copy(path, folder / path.name)
        return
    labels = read(path)
    if not is_rounded(labels.shape, size):
        raise DatasetError(f"{path}: expected the shape of its frame, found {labels.shape[1]}x{labels.shape[0]}; "
                           "check the data set with scripts/check_dataset.py")
    # the exact variant samples at pixel centers, as INTER_AREA does: masks stay aligned with their frames
    labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    write_labels(folder / f"{path.stem}.png", labels.astype(np.uint8, copy=False))


def copy(source: Path, target: Path) -> None:
    """Copy a file; the copy is complete or absent."""
    with atomic_write(target) as partial:
        shutil.copyfile(source, partial)
