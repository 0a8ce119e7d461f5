"""The results of a user's video, written frame by frame: masks, an overlay video, cut-outs. Usable at any time."""

import errno
import os
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
from tqdm import tqdm

from dataset.masks import overlay, write_image, write_labels
from inference.errors import RunError
from inference.run.writer import BackgroundWriter
from inference.video.confidence_file import ConfidenceFile
from inference.video.marks import draw_marks
from inference.video.output_folder import OutputFolder
from inference.video.result import Result

FPS = 25.0                 # of overlays if the source has none: folders, some cameras
_SECONDS_PER_KEY = 2       # between key frames: players jump to these, and a killed process loses no more
_X264 = {"crf": "20", "preset": "veryfast"}      # visually lossless, several times as fast as the default
_WORDS = {"absent": "{} absent", "uncertain": "{} {:.0%} ?", "present": "{} {:.0%}"}      # object, confidence
_BT709 = 1                 # FFmpeg's number of the colors of HD video: stored in the file, so that players do not guess


class VideoOutput(BackgroundWriter):
    """`write(result)`: the `Result` of each frame.

    Writes masks/<frame>.png; confidence.csv if results have a quality; with `overlay_fps`, overlay.mp4 at that many
    frames per second; with `cutouts`, cutouts/<object>/<frame>.png in RGBA. Each picture appears complete. The video
    appears at the end, also after an error or an interruption.
    """

    def __init__(self, folder: OutputFolder, overlay_fps: float | None = FPS, cutouts: bool = False) -> None:
        super().__init__(folder.root.name)
        self.folder, self.cutouts, self.overlay_fps = folder, cutouts, overlay_fps
        self.wants_probabilities = False     # of a result, which are large; otherwise they are None
        self.written = 0                     # frames whose files are all written
        self._video: OverlayVideo | None = None
        self._confidence: ConfidenceFile | None = None

    def describe(self) -> str:
        """What is in the folder, for people."""
        video = self._video is not None and self._video.path.exists()
        kinds = ["masks", *(["cutouts"] if self.cutouts else []), *(["overlay.mp4"] if video else []),
                 *(["confidence.csv"] if self._confidence else [])]
        contents = f" ({', '.join(kinds)})" if self.written else ""
        return f"{self.written} frames written to {self.folder.root}{contents}"

    def _write(self, result: Result) -> None:
        frame, labels = result.frame, result.labels
        write_labels(self.folder.new("masks", f"{frame.name}.png"), labels)
        for number in result.objects if self.cutouts else ():
            path = self.folder.new("cutouts", str(number), f"{frame.name}.png")
            write_image(path, cutout(frame.image, labels, number))
        if self.overlay_fps:
            if self._video is None:
                paths = self.folder.new("overlay.mp4"), self.folder.new(".overlay.partial.mp4")
                self._video = OverlayVideo(*paths, labels.shape, self.overlay_fps)
            self._video.write(_marked(overlay(frame.image, labels), result))
        if result.quality is not None:
            if self._confidence is None:
                self._confidence = ConfidenceFile(self.folder.new("confidence.csv"))
            self._confidence.write(result)
        self.written += 1

    def _finish(self) -> None:
        if self._confidence is not None:
            self._confidence.close()
        if self._video is not None:
            self._video.close()


def _marked(picture: np.ndarray, result: Result) -> np.ndarray:
    """The overlay [H, W, 3] with the confidence of each object in its corner, drawn in place."""
    if result.quality is not None:
        each = zip(result.objects, result.quality.confidence.tolist(), result.quality.state, strict=True)
        draw_marks(picture, [(number, _WORDS[state].format(number, confidence)) for number, confidence, state in each])
    return picture


def cutout(image: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """One object without its background: [H, W, 4] uint8 RGBA, transparent black elsewhere."""
    rgba = np.zeros((*labels.shape, 4), np.uint8)
    inside = labels == number
    rgba[inside, :3], rgba[inside, 3] = image[inside], 255
    return rgba


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
