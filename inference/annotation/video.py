"""The video that is annotated: its frames at both sizes, their names, and where it comes from."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.files import atomic_write
from dataset.masks import read_image
from dataset.videofile import open_video
from inference.session.frames import FolderFrames, Frames, open_frames
from inference.views import View

_QUALITY = 90          # of the JPEGs that are shown
_HELD = 2**22          # bytes of JPEGs in memory


@dataclass(frozen=True)
class Video:
    """A video file or a folder of images, whose frames can be read in any order."""

    path: Path
    frames: Frames                     # for the thread that segments, and for no other one
    names: list[str]                   # of the frames, as segment_video names them
    size: tuple[int, int]              # (height, width)
    fps: float | None

    def shown_size(self, short_side: int) -> tuple[int, int]:
        """(height, width) at which frames are shown and painted: that of the network's view."""
        return View(short_side).size(*self.size)

    def identity(self) -> dict[str, Any]:
        """What says whether two videos are the same one."""
        return {"name": self.path.name, "frames": len(self.names), "size": list(self.size)}


def read_video(path: Path) -> Video:
    """Raises DatasetError for a source that is no video file and no folder of images."""
    frames = open_frames(path)
    source = open_video(path)
    names = source.frame_names or [f"{index:05d}" for index in range(len(frames))]
    return Video(path, frames, names, (source.size[0], source.size[1]), source.fps)


class Shown:
    """Frames as JPEGs at the working size, for any thread.

    Those of a folder are read when they are asked for, and the latest 4 MiB of them are held in memory. Formats of
    video files allow no exact jump to a frame, so `prepare` decodes them once, into files.

    Args:
        folder: for the files; it belongs to this video and this size.
    """

    def __init__(self, video: Video, size: tuple[int, int], folder: Path) -> None:
        self.size, self.folder = size, folder
        self._paths = video.frames.paths if isinstance(video.frames, FolderFrames) else None
        self._count, self._source = len(video.names), video.path
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._bytes, self._lock = 0, threading.Lock()

    def prepare(self) -> None:
        """Write the files of a video file that are missing, with a progress bar."""
        if self._paths is not None or self._file(self._count - 1).is_file():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        frames = zip(range(self._count), open_video(self._source), strict=False)
        for index, frame in tqdm(frames, total=self._count, unit="frame", desc="reading", dynamic_ncols=True):
            with atomic_write(self._file(index)) as partial:
                partial.write_bytes(self._encode(frame.image))

    def jpeg(self, index: int) -> bytes:
        """Raises DatasetError for a frame that can no longer be read."""
        if self._paths is None:
            return self._file(index).read_bytes()
        with self._lock:
            if index in self._held:
                self._held.move_to_end(index)
                return self._held[index]
        content = self._encode(read_image(self._paths[index]))
        with self._lock:
            if index not in self._held:
                self._held[index] = content
                self._bytes += len(content)
            while self._bytes > _HELD and len(self._held) > 1:
                self._bytes -= len(self._held.popitem(last=False)[1])
        return content

    def image(self, index: int) -> np.ndarray:
        """[h, w, 3] uint8 RGB at the working size."""
        decoded = cv2.imdecode(np.frombuffer(self.jpeg(index), np.uint8), cv2.IMREAD_COLOR)
        if decoded is None:
            raise DatasetError(f"{self._file(index)}: expected a JPEG, found a damaged one; remove {self.folder}")
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)

    def _file(self, index: int) -> Path:
        return self.folder / f"{index:05d}.jpg"

    def _encode(self, image: np.ndarray) -> bytes:
        if image.shape[:2] != self.size:
            image = cv2.resize(image, self.size[::-1], interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        content: bytes = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        return content
