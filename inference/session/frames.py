"""Frames by their number: what a session needs, since it goes back and forth in its video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from dataset.errors import DatasetError
from dataset.folder import Frame, frame_size_problem
from dataset.image_files import list_images
from dataset.masks import read_image
from dataset.videofile import open_video

_CACHE = 2**28      # bytes of decoded frames of a video file


class Frames(Protocol):
    """The frames of a video, [H, W, 3] uint8 RGB, all of one size. A list of arrays is one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


class FolderFrames(Frames):
    """Images that are read one at a time, each when it is asked for.

    Args:
        paths: in the order of the video.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self._last = 0, read_image(paths[0])         # is often asked for twice
        self.size = self._last[1].shape[:2]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Raises DatasetError for a file that cannot be read, and for a frame of another size."""
        last, image = self._last
        if index == last:
            return image
        image = read_image(self.paths[index])
        if problem := frame_size_problem(image.shape[:2], self.size, self.paths[0].name):
            raise problem.error(self.paths[index])
        self._last = index, image
        return image


class VideoFileFrames(Frames):
    """The frames of a video file, decoded as `open_video` does, and therefore equal to the pixel.

    Formats of videos allow no exact jump to a frame. So frames are decoded in blocks, and one block is kept. Forward,
    each frame is decoded once; an earlier block is found by decoding from the start. The first use decodes the whole
    file, because only this shows how many frames there are.

    Args:
        limit: use the first `limit` frames; None: all of them. block: frames in a block; None: as many as fit in 256
        MiB.
    """

    def __init__(self, path: Path | str, limit: int | None = None, block: int | None = None) -> None:
        self.path, self.limit = path, limit
        self._length = sum(1 for _ in self._decode())
        first = next(self._decode()).image
        self.block = block or max(1, _CACHE // first.nbytes)
        self._reader, self._next = self._decode(), 0             # frames from number `_next` on
        self._first, self._held = 0, [first]                     # the block held, and the number of its first frame

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self._length:
            raise IndexError(f"{self.path}: expected a frame from 0 to {self._length - 1}, found {index}")
        if not self._first <= index < self._first + len(self._held):
            self._read_block(index // self.block * self.block)
        return self._held[index - self._first]

    def _read_block(self, first: int) -> None:
        if self._next > first:
            self._reader, self._next = self._decode(), 0
        held: list[np.ndarray] = []
        end = min(first + self.block, self._length)
        self._held = held                                        # the earlier block goes before this one is read
        for frame in self._reader:
            if self._next >= first:
                held.append(frame.image)
            self._next += 1
            if self._next == end:
                break
        self._first = first
        if len(held) < end - first:
            raise DatasetError(f"{self.path}: expected {self._length} frames as at the first reading, found "
                               f"{self._next}; is another program writing this file?")

    def _decode(self) -> Iterator[Frame]:
        for count, frame in enumerate(open_video(self.path), start=1):
            yield frame
            if count == self.limit:
                return


def open_frames(source: Path | str, excluded: tuple[Path, ...] = (), limit: int | None = None) -> Frames:
    """The frames of a folder of images or of a video file.

    `excluded`: files of a folder that are no frames. `limit`: the first frames only. Raises DatasetError for other
    sources, whose frames cannot be read again.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        masks = {mask.resolve() for mask in excluded}
        images = [image for image in list_images(path) if image.resolve() not in masks]
        if not images:
            raise DatasetError(f"{path}: expected a folder of images, found none in it; check the path")
        return FolderFrames(images[:limit])
    if not path.is_file():
        raise DatasetError(f"{source}: expected a folder of images or a video file, whose frames can be read in any "
                           "order, found neither; check the path")
    return VideoFileFrames(path, limit)
