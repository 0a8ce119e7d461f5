"""Plain JPEG files, decoded by OpenCV: the pixels of Pillow in less time.

Both decode with libjpeg-turbo, but each with its own copy. What the copies could treat differently is left to Pillow:
every kind of JPEG but the usual one, files whose markers show damage, and all files if the copies disagree on samples.
"""

import functools
import io
import re
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

_START, _END = b"\xff\xd8\xff", b"\xff\xd9"
_BASELINE, _SCAN, _EXTENSION = 0xC0, 0xDA, 0xE2
_SKIPPED = {0xC4, 0xDB, 0xDD, 0xE0, 0xE1, _EXTENSION, 0xFE}     # tables, JFIF, Exif, color profile, comment
_YCBCR = b"\1\2\3"                                          # numbers of the components
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")              # within a scan, except for restarts


def read_jpeg(path: Path) -> np.ndarray | None:
    """The pixels of a plain JPEG file, RGB [H, W, 3] uint8; None if Pillow has to read the file, or to refuse it."""
    try:
        with open(path, "rb") as file:
            data = file.read(len(_START))
            if data != _START:
                return None
            data += file.read()
    except OSError:
        return None
    return _decode(data) if _is_plain(data) and _copies_agree() else None


def _is_plain(data: bytes) -> bool:
    """Whether these are one baseline picture of 8 bits, gray or YCbCr, in one scan, and nothing after its end."""
    position, components = 2, 0
    while data[position : position + 1] == b"\xff" and position + 4 < len(data):
        marker, content = data[position + 1], position + 4
        following = position + 2 + int.from_bytes(data[position + 2 : content], "big")
        if marker == _SCAN:
            end = _MARKER.search(data, following)
            return data[content] == components > 0 and end is not None and data[end.start() :] == _END
        if marker == _BASELINE and not components:
            components = _plain_components(data[content:following])
        elif marker not in _SKIPPED or (marker == _EXTENSION and data.startswith(b"MPF", content)):   # several pictures
            return False
        position = following
    return False


def _plain_components(frame: bytes) -> int:
    """Components of a frame as its header describes it: 1 or 3; 0 if it is not plain."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if frame[:1] != b"\x08" or not 0 < height * width <= (Image.MAX_IMAGE_PIXELS or 0):
        return 0
    return {(1, 9): 1, (3, 15): 3 if frame[6::3] == _YCBCR else 0}.get((frame[5], len(frame)), 0)


def _decode(data: bytes) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None


@functools.cache
def _copies_agree() -> bool:
    """Whether OpenCV decodes samples, gray and with every usual subsampling, to the pixels of Pillow."""
    if not hasattr(cv2, "IMREAD_COLOR_RGB"):         # before OpenCV 4.11
        return False
    noise = np.random.default_rng(0).integers(0, 256, (15, 25, 3), np.uint8)
    picture = Image.fromarray(noise).resize((75, 45))
    for mode, subsampling in (("L", 0), ("RGB", 0), ("RGB", 1), ("RGB", 2)):
        encoded = io.BytesIO()
        picture.convert(mode).save(encoded, "JPEG", quality=90, subsampling=subsampling)
        pixels = _decode(encoded.getvalue())
        if pixels is None or not np.array_equal(pixels, np.asarray(Image.open(encoded).convert("RGB"))):
            return False
    return True
