"""A folder of videos and the masks given for each: which belong together."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from dataset.errors import DatasetError
from dataset.image_files import IMAGE_SUFFIXES, list_images, natural_order
from dataset.videofile import open_video

_SHOWN = 5      # names in a warning


@dataclass(frozen=True)
class MaskedVideo:
    """A video file or a folder of images, and the masks given for it."""

    name: str                    # of the folder, or of the file without suffix
    path: Path
    masks: tuple[Path, ...]

    def __len__(self) -> int:
        """Frames, as far as this is known before reading them; 1 for a video that cannot be opened."""
        try:
            return open_video(self.path, excluded=self.masks).announced or 1
        except DatasetError:
            return 1


def masked_videos(folder: Path, masks: Path) -> list[MaskedVideo]:
    """The videos of a folder that have masks, in natural order.

    The masks of video NAME.mp4, or of the folder of images NAME, are the images of MASKS/NAME, or the one image
    MASKS/NAME.png. Warns of videos without masks and of masks without a video. Raises DatasetError if no video has
    masks, and if it is not clear which ones belong to a video.
    """
    for path in (folder, masks):
        if not path.is_dir():
            raise DatasetError(f"{path}: expected a folder, found {'a file' if path.exists() else 'nothing there'}; "
                               "--masks is for a folder of videos, with --input FOLDER; a single video needs --mask")
    paths = _by_name(folder)
    videos = [MaskedVideo(name, path, given) for name, path in paths.items() if (given := _masks_of(name, masks))]
    if not videos:
        raise DatasetError(f"{folder}: expected videos with masks in {masks}, found none that has any; the masks of "
                           f"cat.mp4 are {masks / 'cat.png'}, or the images of the folder {masks / 'cat'}")
    having = {video.name for video in videos}
    _warn(folder, "no masks, so they are left out", [name for name in paths if name not in having])
    given = {path.stem if path.is_file() else path.name for path in _visible(masks)}
    _warn(masks, f"no video in {folder}", sorted(given - paths.keys()) if folder != masks else [])
    return videos


def _by_name(folder: Path) -> dict[str, Path]:
    videos: dict[str, Path] = {}
    for path in _visible(folder):
        if path.is_file() and path.suffix.lower() in IMAGE_SUFFIXES:
            continue
        name = path.stem if path.is_file() else path.name
        if (other := videos.setdefault(name, path)) is not path:
            raise DatasetError(f"{path}: expected one video per name, found {other.name} beside it; rename one of them")
    return videos


def _masks_of(name: str, masks: Path) -> tuple[Path, ...]:
    several, single = masks / name, masks / f"{name}.png"
    if several.is_dir() and single.is_file():
        raise DatasetError(f"{single}: expected either this mask or the folder {name}, found both; remove one of them")
    if several.is_dir():
        return tuple(list_images(several))
    return (single,) if single.is_file() else ()


def _visible(folder: Path) -> list[Path]:
    return natural_order(path for path in folder.iterdir() if not path.name.startswith("."))


def _warn(folder: Path, problem: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        warnings.warn(f"{folder}: {', '.join(names[:_SHOWN])}{more}: {problem}", stacklevel=3)
