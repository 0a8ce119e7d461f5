"""A generated clip to try the annotation with."""

from pathlib import Path

from tqdm import tqdm

from dataset.masks import write_image
from dataset.synthetic_clip import SyntheticClip

FRAMES, SIZE, SEED = 60, (270, 480), 7


def write_example(folder: Path, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> Path:
    """Write the frames that are missing; returns the folder. The clip is always the same one."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(frames) if not _file(folder, index).is_file()]
    if missing:
        clip = SyntheticClip(SEED, size, frames)
        for index in tqdm(missing, unit="frame", desc="example", dynamic_ncols=True):
            write_image(_file(folder, index), clip.frame(index)[0], quality=95)
    return folder


def _file(folder: Path, index: int) -> Path:
    return folder / f"{index:05d}.jpg"
