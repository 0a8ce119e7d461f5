"""Miniature folders in the layouts of LVOS, MOSE, VOST and Long-time Video, with masks worked out by hand."""

import json
from pathlib import Path

import numpy as np

from dataset.masks import write_labels

SIZE = (20, 40)                                     # diagonal 44.7: boundaries match within 1 pixel
HALF = np.zeros(SIZE, np.uint8)
HALF[:, :10] = 1
STEP = HALF.copy()                                  # 10 columns above, 20 columns below
STEP[10:, 10:20] = 1
NOTHING = np.zeros(SIZE, np.uint8)
# J of HALF and STEP: 200 pixels of 300. F: the boundary of HALF is column 9, 20 pixels; that of STEP is the upper half
# of column 9 (10), row 9 from column 10 to 19 (10) and the lower half of column 19 (10). Within 1 pixel of the other's
# lie 11 of each: rows 0 to 9 of column 9, and (9, 10) of STEP or (10, 9) of HALF. F = 2 * 11 / (20 + 30).
J, F = 2 / 3, 0.44


def write_frames(root: Path, video: str, names: list[str]) -> None:
    """Empty files in place of frames, for readers that list them and scorers that never open them."""
    folder = root / "JPEGImages" / video
    folder.mkdir(parents=True)
    for name in names:
        (folder / f"{name}.jpg").touch()


def write_masks(folder: Path, masks: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True)
    for name, labels in masks.items():
        write_labels(folder / f"{name}.png", labels)


def write_video(root: Path, video: str, truths: dict[str, np.ndarray], results: Path, found: list[np.ndarray]) -> None:
    """A video with an empty file for each frame, its masks, and a result for each mask."""
    write_frames(root, video, list(truths))
    write_masks(root / "Annotations" / video, truths)
    write_masks(results / video, dict(zip(truths, found, strict=True)))


def write_lvos_meta(root: Path, ranges: dict[str, dict[int, tuple[int, int, int]]]) -> None:
    """ranges: video -> object -> first frame, last frame, number of annotated frames."""
    videos = {
        video: {"objects": {
            str(number): {"frame_range": dict(zip(("start", "end", "frame_nums"), map(str, values), strict=True))}
            for number, values in objects.items()
        }} for video, objects in ranges.items()
    }
    (root / "valid_meta.json").write_text(json.dumps({"videos": videos}))
