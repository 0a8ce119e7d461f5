"""overlay.mp4: the video with the masks drawn on it."""

import errno
import os
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from tqdm import tqdm

from dataset.masks import overlay
from inference.errors import RunError
from inference.video.marks import draw_marks
from inference.video.output_folder import OutputFolder
from inference.video.outputs.output import Output
from inference.video.result import Result

_SECONDS_PER_KEY = 2       # between key frames: players jump to these, and a killed process loses no more
_X264 = {"crf": "20", "preset": "veryfast"}      # visually lossless, several times as fast as the default
_WORDS = {"absent": "{} absent", "uncertain": "{} {:.0%} ?", "present": "{} {:.0%}"}      # object, confidence
_BT709 = 1                 # FFmpeg's number of the colors of HD video: stored in the file, so that players do not guess


class Overlay(Output):
    """The video appears at the end, also after an error or an interruption."""

    name = "overlay.mp4"

    def __init__(self, folder: OutputFolder, fps: float) -> None:
        super().__init__(folder, fps)
        self._video: OverlayVideo | None = None

    def write(self, result: Result) -> None:
        if self._video is None:
            paths = self.folder.new(self.name), self.folder.new(".overlay.partial.mp4")
            self._video = OverlayVideo(*paths, result.labels.shape, self.fps)
        self._video.write(_marked(overlay(result.frame.image, result.labels), result))

    def finish(self) -> None:
        if self._video is not None:
            self._video.close()


def _marked(picture: np.ndarray, result: Result) -> np.ndarray:
    """The overlay [H, W, 3] with the confidence of each object in its corner, drawn in place."""
    if result.quality is not None:
        each = zip(result.objects, result.quality.confidence.tolist(), result.quality.state, strict=True)
        draw_marks(picture, [(number, _WORDS[state].format(number, confidence)) for number, confidence, state in each])
    return picture


class OverlayVideo:
    """An MP4 of RGB pictures: H.264 by PyAV, which browsers play, or MPEG-4 by OpenCV if PyAV is missing.

    Pictures of odd sizes grow by one column or row, since both formats need even sizes. H.264 is written to `partial`
    in fragments, so that even a killed process leaves a file that plays.

    Args:
        path: appears on closing. partial: temporary file. size: (H, W) of the pictures. fps: frames per second.
    """

    def __init__(self, path: Path, partial: Path, size: tuple[int, int], fps: float) -> None:
        self.path, self.partial = path, partial
        self.padding = size[0] % 2, size[1] % 2
        even = size[0] + self.padding[0], size[1] + self.padding[1]
        av = _pyav()
        if av is None:
            tqdm.write("note: overlay.mp4 is MPEG-4 Part 2, which browsers may not play; `pip install -U av` for H.264")
        self._encoder = _MPEG4(partial, even, fps) if av is None else _H264(av, partial, even, fps)

    def write(self, image: np.ndarray) -> None:
        """Append [H, W, 3] uint8 RGB."""
        if any(self.padding):
            image = cv2.copyMakeBorder(image, 0, self.padding[0], 0, self.padding[1], cv2.BORDER_REPLICATE)
        self._encoder.write(image)

    def close(self) -> None:
        self._encoder.close()
        os.replace(self.partial, self.path)


class _H264:
    def __init__(self, av: ModuleType, path: Path, size: tuple[int, int], fps: float) -> None:
        self.av, rate = av, Fraction(fps).limit_denominator(1001)
        self.container = av.open(str(path), "w", format="mp4", options={"movflags": "hybrid_fragmented"})
        options = _X264 | {"g": str(max(1, round(_SECONDS_PER_KEY * fps)))}
        self.stream = self.container.add_stream("libx264", rate=rate, options=options)
        self.stream.height, self.stream.width, self.stream.pix_fmt = *size, "yuv420p"
        colors = self.stream.codec_context
        colors.colorspace = colors.color_primaries = colors.color_trc = colors.color_range = _BT709

    def write(self, image: np.ndarray) -> None:
        frame = self.av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        self.container.mux(self.stream.encode())
        self.container.close()


class _MPEG4:
    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        self.writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, size[::-1])
        if not self.writer.isOpened():
            raise RunError(f"{path}: expected a video to write to, found that OpenCV cannot write it; install av, or "
                           "give --no-overlay")
        self.path, self.written = path, 0

    def write(self, image: np.ndarray) -> None:
        self.writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.written += 1

    def close(self) -> None:
        """Raises OSError if pictures are missing: OpenCV does not report a full disk."""
        self.writer.release()
        if cv2.VideoCapture(str(self.path)).get(cv2.CAP_PROP_FRAME_COUNT) < self.written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def _pyav() -> ModuleType | None:
    """PyAV if it is installed, and new enough for fragmented MP4 that becomes a plain one at the end (FFmpeg 7.1)."""
    try:
        import av
    except ImportError:
        return None
    return av if av.library_versions["libavformat"] >= (61, 7) and "libx264" in av.codecs_available else None
