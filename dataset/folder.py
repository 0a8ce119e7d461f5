"""A video as a folder of frames with annotations for some of them: the interface of all evaluation sources."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from dataset.errors import DatasetError
from dataset.masks import VOID, in_pixels, labels_at_size, read_image, read_label_map, read_labels

_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}


@dataclass(frozen=True)
class Frame:
    """One frame of a video, and its annotation where one is given."""

    name: str                        # file name without suffix
    image: np.ndarray                # [H, W, 3] uint8 RGB
    annotation: np.ndarray | None    # [H, W] uint8: 0 background, 1..254 object numbers


@dataclass
class FolderSequence:
    """Frames of one video in their natural order, read one at a time; iterating yields `Frame`s.

    `annotations` (frame name -> label map) is what the network is given. `ground_truth` (same keys) is what
    its masks are scored against, and is never read here. With `binary`, every label above 0 is object 1
    (DAVIS 2016); otherwise void pixels (255) of a given annotation become background.

    Raises DatasetError for no frames, two frames of one name, and an annotation that belongs to no frame.
    """

    name: str
    frames: list[Path]
    annotations: dict[str, Path]
    binary: bool = False
    ground_truth: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frames = natural_order(self.frames)
        if not self.frames:
            raise DatasetError(f"sequence {self.name}: expected at least one frame, found none")
        by_name: dict[str, Path] = {}
        for path in self.frames:
            if (other := by_name.setdefault(path.stem, path)) != path:
                raise DatasetError(f"{path}: expected one file per frame name, found {other.name} beside it; "
                                   "remove one of them")
        for name, path in self.annotations.items():
            if name not in by_name:
                raise DatasetError(f"{path}: expected the annotation of a frame of {self.frames[0].parent}, "
                                   f"found no frame named {name} there; rename or remove the annotation")

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames_from(0)

    @property
    def frame_names(self) -> list[str]:
        return [path.stem for path in self.frames]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame, from its header."""
        return _image_size(self.frames[0])

    def frames_from(self, start: int) -> Iterator[Frame]:
        """Yield the frames from index `start` on.

        An annotation whose aspect ratio is within 1 % of its frame's is resized with a warning. Raises DatasetError
        for a frame or annotation of another size, an annotation of greys, and files that cannot be read.
        """
        size = self.size
        for path in self.frames[start:]:
            image = read_image(path)
            if image.shape[:2] != size:
                raise DatasetError(
                    f"{path}: expected a frame of {in_pixels(size)} like {self.frames[0].name}, found "
                    f"{in_pixels(image.shape)}; give all frames of a video one size"
                )
            yield Frame(path.stem, image, self._annotation(path, size))

    def _annotation(self, frame: Path, size: tuple[int, int]) -> np.ndarray | None:
        path = self.annotations.get(frame.stem)
        if path is None:
            return None
        labels = labels_at_size((read_labels if self.binary else read_label_map)(path), size, path, frame)
        if self.binary:
            return (labels > 0).astype(np.uint8)
        objects = np.where(labels == VOID, 0, labels).astype(np.uint8)
        if labels.any() and not objects.any():
            raise DatasetError(f"{path}: expected object numbers 1..254, found only 0 and 255 (void); a binary "
                               "mask of one object needs label 1, or binary reading (DAVIS: --year 2016)")
        return objects


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder in natural order; files of unknown suffix count if they open as images.

    Hidden files are passed over. Raises DatasetError if there is no such folder.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected a folder of images, found "
                           f"{'a file' if folder.exists() else 'nothing there'}; check the path")
    return natural_order([path for path in folder.iterdir() if _is_image(path)])


def natural_order(paths: list[Path]) -> list[Path]:
    """Sorted by name, or by number if every file is named by one (2.jpg before 10.jpg)."""
    if all(path.stem.isdecimal() for path in paths):
        return sorted(paths, key=lambda path: (int(path.stem), path.name))
    return sorted(paths, key=lambda path: path.name)


def _is_image(path: Path) -> bool:
    if path.name.startswith(".") or path.is_dir():
        return False
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return True
    try:
        Image.open(path).close()
        return True
    except (OSError, UnidentifiedImageError):
        return False


def _image_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, UnidentifiedImageError) as error:
        raise DatasetError(f"{path}: expected an image, found a file that does not open as one ({error}); "
                           "restore it from where it came, or save it again") from None
