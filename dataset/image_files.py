"""Which files of a folder are images, in which order, and how they are opened: one answer for every reader."""

import re
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from dataset.errors import DatasetError, Problem

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)     # what Pillow raises


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorting key of a file name: frame2 before frame10.

    The name is split into text and numbers; numbers are compared by value. Names that differ only in leading zeros
    (1.jpg, 01.jpg) are compared as text, so the order is total.
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sorted by file name in natural order (`natural_key`)."""
    return sorted(paths, key=lambda path: (natural_key(path.name), path.parent))


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder in natural order; files of unknown suffix count if they open as images.

    Hidden files are ignored. Raises DatasetError if there is no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder of images, found "
                           f"{'a file' if folder.exists() else 'nothing there'}; check the path")
    return natural_order(path for path in folder.iterdir() if _is_image(path))


def list_files_below(root: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files of some suffixes (".png") at any depth below `root`, in natural order of their relative paths.

    Hidden files and the files of hidden folders are ignored.
    """
    suffixes, found = set(suffixes), {}
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if path.suffix.lower() in suffixes and not any(map(_is_hidden, parts)) and path.is_file():
            found[path] = [natural_key(part) for part in parts]
    return sorted(found, key=lambda path: found[path])


def by_frame_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Frame name (file name without suffix) -> file, in the order of `paths`.

    Raises DatasetError for two files of one name.
    """
    files: dict[str, Path] = {}
    for path in paths:
        if problem := name_problem(path, files.setdefault(path.stem, path)):
            raise problem.error(path)
    return files


def name_problem(path: Path, first: Path) -> Problem | None:
    """The problem of a file whose frame name another file, `first`, has already."""
    if path == first:
        return None
    return Problem("two files of one name", "one file per frame name", f"{first.name} beside it",
                   "remove one of them")


def open_image(path: Path) -> Image.Image:
    """Open and decode an image file, whatever its suffix. Raises DatasetError."""
    try:
        image = Image.open(path)
        image.load()
        return image
    except UNREADABLE as error:
        raise unreadable_problem(error).error(path) from None


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) from the header of an image file. Raises DatasetError."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except UNREADABLE as error:
        raise unreadable_problem(error).error(path) from None


def unreadable_problem(error: Exception) -> Problem:
    """The problem of a file for which Pillow raises `error`, one of UNREADABLE."""
    if isinstance(error, FileNotFoundError):
        return Problem("unreadable file", "an image", "no such file", "check the path")
    return Problem("unreadable file", "a readable image", f"a damaged or foreign file ({' '.join(str(error).split())})",
                   "restore it from its source, or save it again")


def _is_image(path: Path) -> bool:
    if _is_hidden(path.name) or path.is_dir():
        return False
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        Image.open(path).close()
        return True
    except UNREADABLE:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".")         # archives made on a Mac hold ._name.jpg beside name.jpg
