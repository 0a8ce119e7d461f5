"""A video as a folder of frames with annotations for some of them: what all evaluation data sets are read as."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from dataset.errors import DatasetError, Problem
from dataset.image_files import by_frame_name, image_size, natural_order
from dataset.in_order import in_order
from dataset.label_maps import labels_at_size, read_given_mask
from dataset.masks import in_pixels, read_image


@dataclass(frozen=True)
class Frame:
    """One frame of a video, and its annotation if one is given."""

    name: str                        # file name without suffix
    image: np.ndarray                # [H, W, 3] uint8 RGB
    annotation: np.ndarray | None    # [H, W] uint8: 0 background, 1..254 object numbers


@dataclass
class FolderSequence:
    """The frames of one video in natural order, read one at a time; iterating yields `Frame`s.

    `annotations` (frame name -> label map) are given to the network. `ground_truth` (same keys) is what the
    network's masks are scored against; it is never read here. With `binary`, every label above 0 is object 1
    (DAVIS 2016); otherwise void pixels (255) of a given annotation become background.

    Raises DatasetError if there are no frames, two frames of one name, or an annotation of no frame.
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
        by_name = by_frame_name(self.frames)
        for name, path in self.annotations.items():
            if name not in by_name:
                raise DatasetError(f"{path}: expected the annotation of a frame of {self.frames[0].parent}, "
                                   f"found no frame named {name} there; rename or remove the annotation")

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames. Raises what `read` raises."""
        return self._given(map(self.read, range(len(self))))

    def in_threads(self, threads: int) -> Iterator[Frame]:
        """Iterate over the frames, which several threads read. They end with the iterator."""
        return self._given(in_order(self.read, range(len(self)), threads))

    def read(self, index: int) -> Frame:
        """Read one frame. Several threads may do so at once.

        An annotation whose aspect ratio is within 1 % of its frame's is resized with a warning. Raises DatasetError
        for a frame or annotation of another size, an annotation without object numbers, and files that cannot be read.
        """
        path, size = self.frames[index], self.size
        image = read_image(path)
        if problem := frame_size_problem(image.shape[:2], size, self.frames[0].name):
            raise problem.error(path)
        return Frame(path.stem, image, self._annotation(path, size))

    @property
    def frame_names(self) -> list[str]:
        return [path.stem for path in self.frames]

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame, from its header."""
        return image_size(self.frames[0])

    def _given(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames in order, as they are given to the network."""
        return frames

    def _annotation(self, frame: Path, size: tuple[int, int]) -> np.ndarray | None:
        path = self.annotations.get(frame.stem)
        return None if path is None else labels_at_size(read_given_mask(path, self.binary), size, path, frame)


def frame_size_problem(size: tuple[int, ...], expected: tuple[int, ...], first: str) -> Problem | None:
    """The problem of a frame of another size (height, width) than that of `first`, the first frame of its video."""
    if size == expected:
        return None
    return Problem("frame of another size", f"a frame of {in_pixels(expected)} like {first}", in_pixels(size),
                   "give all frames of a video one size")
