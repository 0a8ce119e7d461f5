"""A user's own video as a stream of frames: a video file, a folder of images, a camera or a network stream.

`open_video` recognizes the kind. One frame is kept in memory at a time; the number of frames may be unknown.
"""

import os
import re
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from dataset.errors import DatasetError
from dataset.folder import FolderSequence, Frame, frame_size_problem
from dataset.image_files import list_images

_PATIENCE = (15_000, 10_000)     # milliseconds to wait for a network stream to open, and for its next frame
_TEXT = int.from_bytes(b"ansi", "little")      # FFmpeg's codec for text files, which it would draw like a terminal


class VideoSource(Protocol):
    """Iterating yields `Frame`s without annotations, all of one size, once."""

    name: str                          # for messages and records
    size: tuple[int, int]              # (height, width)
    announced: int | None              # expected number of frames: exact for folders, as the file states for videos
    fps: float | None                  # frames per second; None: unknown
    live: bool                         # frames arrive in real time; those that arrive too fast are dropped
    frame_names: list[str] | None      # None: unknown before reading

    def __iter__(self) -> Iterator[Frame]: ...


def open_video(source: Path | str, excluded: Iterable[Path | str] = ()) -> VideoSource:
    """The frames of a path, the number of a camera, or the URL of a stream.

    `excluded`: files in a folder of images that are no frames, such as masks. Raises DatasetError for a source that is
    missing or no video.
    """
    text, path = str(source), Path(source).expanduser()
    if path.is_dir():
        return ImageFolder(path, excluded)
    if path.exists():
        device = path.is_char_device()
        capture = _open(str(path.absolute()), cv2.CAP_ANY if device else cv2.CAP_FFMPEG)
        return CapturedVideo(capture, str(path), device)
    if text.isdecimal():
        return CapturedVideo(_open(int(text), cv2.CAP_ANY), f"camera {text}", live=True)
    if "://" in text:
        timeouts = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _PATIENCE[0], cv2.CAP_PROP_READ_TIMEOUT_MSEC, _PATIENCE[1])
        return CapturedVideo(_open(text, cv2.CAP_FFMPEG, timeouts), re.sub("//[^/@]*@", "//", text), live=None)
    raise DatasetError(f"{text}: expected a video file, a folder of images, a camera's number or a stream's URL, found "
                       "nothing there; check --input")


class ImageFolder(VideoSource):
    """The images of a folder in natural order; the name of a frame is that of its file without suffix.

    Args:
        excluded: files of the folder that are no frames.
    """

    fps, live = None, False

    def __init__(self, folder: Path, excluded: Iterable[Path | str] = ()) -> None:
        masks = {Path(path).resolve() for path in excluded}
        paths = [path for path in list_images(folder) if path.resolve() not in masks]
        if not paths:
            raise DatasetError(f"{folder}: expected a folder of images, found none in it; check --input")
        self._frames = FolderSequence(str(folder), paths, annotations={})
        self.name, self.announced, self.size = str(folder), len(paths), self._frames.size
        self.frame_names = self._frames.frame_names

    def __iter__(self) -> Iterator[Frame]:
        """Raises DatasetError for a file that cannot be read, and for a frame of another size."""
        return iter(self._frames)


class CapturedVideo(VideoSource):
    """A video that OpenCV decodes; frames are called 00000, 00001, ...

    Frames are turned upright if the file says how the camera was held.

    Args:
        capture: an opened source. name: for messages. live: None: live if it states no number of frames.

    Raises DatasetError if no frame can be decoded.
    """

    frame_names = None

    def __init__(self, capture: cv2.VideoCapture, name: str, live: bool | None = False) -> None:
        self.name, self._capture = name, capture
        announced, fps = (capture.get(key) for key in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        self.announced = int(announced) if 0 < announced < 1e9 else None
        self.fps = fps if 1 <= fps <= 240 else None
        self.live = self.announced is None if live is None else live
        text = capture.get(cv2.CAP_PROP_FOURCC) == _TEXT
        self._first = self._read() if capture.isOpened() and not text else None
        if self._first is None:
            raise DatasetError(f"{name}: expected a camera, found none that delivers a picture; check its number, and "
                               "that no other program uses it" if live else
                               f"{name}: expected a video, found nothing that decodes as one; play it to see whether "
                               "it is complete, or convert it (ffmpeg -i FILE video.mp4)")
        self.size = self._first.shape[:2]

    def __iter__(self) -> Iterator[Frame]:
        """Warns if fewer frames can be read than the file states. Raises DatasetError for a frame of another size."""
        count = 0
        for image in self._newest() if self.live else self._every():
            if problem := frame_size_problem(image.shape[:2], self.size, "the first"):
                raise problem.error(f"{self.name}: frame {count:05d}")
            yield Frame(f"{count:05d}", image, None)
            count += 1
        if self.live:
            warnings.warn(f"{self.name}: no more pictures come; it ended after {count} frames", stacklevel=2)
        elif self.announced and count < self.announced - 1:       # containers are often wrong by one
            warnings.warn(f"{self.name}: read {count} of the {self.announced} frames that it announces; it is cut off "
                          f"or damaged after frame {count - 1:05d}", stacklevel=2)

    def _every(self) -> Iterator[np.ndarray]:
        image, self._first = self._first, None
        try:
            while image is not None:
                yield image
                image = self._read()
        finally:
            self._capture.release()

    def _newest(self) -> Iterator[np.ndarray]:
        """The first picture, then always the newest: a thread reads all of them, so that none waits in the driver."""
        latest: deque[np.ndarray | None] = deque(maxlen=1)
        arrived, stop = threading.Condition(), threading.Event()

        def offer(image: np.ndarray | None) -> None:
            with arrived:
                latest.append(image)
                arrived.notify()

        def read() -> None:
            try:
                while not stop.is_set() and (image := self._read()) is not None:
                    offer(image)
            finally:
                offer(None)
                self._capture.release()        # only here: releasing while another thread reads crashes

        thread = threading.Thread(target=read, name=f"reader of {self.name}", daemon=True)
        thread.start()
        image, self._first = self._first, None
        try:
            while image is not None:
                yield image
                with arrived:
                    arrived.wait_for(lambda: latest)
                    image = latest.pop()
        finally:
            stop.set()
            thread.join(timeout=1)

    def _read(self) -> np.ndarray | None:
        """The next picture, [H, W, 3] uint8 RGB; None at the end."""
        found, image = self._capture.read()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if found else None


def _open(source: str | int, backend: int, options: tuple[int, ...] = ()) -> cv2.VideoCapture:
    """Open a source without messages of the libraries; our own say what is wrong."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = getattr(cv2.utils, "logging", cv2)            # its place in OpenCV 5, and in 4
    level = logging.setLogLevel(0)
    try:
        capture = cv2.VideoCapture(source, backend, list(options))
    finally:
        logging.setLogLevel(level)
    if backend == cv2.CAP_ANY:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture
