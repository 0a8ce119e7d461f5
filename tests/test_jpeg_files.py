"""JPEG files are decoded to the pixels of Pillow, whoever decodes them, and what Pillow refuses is refused."""

import io
import random

import cv2
import numpy as np
import pytest
from PIL import Image

from dataset import jpeg_files
from dataset.errors import DatasetError
from dataset.jpeg_files import read_jpeg
from dataset.masks import read_image

PICTURE = Image.fromarray(cv2.blur(np.random.default_rng(1).integers(0, 256, (53, 70, 3), np.uint8), (3, 3)))


def jpeg(mode="RGB", **options) -> bytes:
    encoded = io.BytesIO()
    PICTURE.convert(mode).save(encoded, "JPEG", **options)
    return encoded.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


PLAIN = {
    **{f"quality {quality}, subsampling {way}": jpeg(quality=quality, subsampling=way)
       for quality in (10, 42, 75, 95, 100) for way in range(3)},
    "gray": jpeg("L"), "restarts": jpeg(restart_marker_blocks=2), "optimized": jpeg(optimize=True),
    "turned": jpeg(exif=exif(6)), "comment and profile": jpeg(comment=b"text", icc_profile=b"profile"),
}
OTHERS = {
    "progressive": jpeg(progressive=True), "CMYK": jpeg("CMYK"), "kept as RGB": jpeg(keep_rgb=True),
    "bytes after the end": jpeg() + b"more", "two pictures": jpeg() + jpeg("L"), "empty": b"", "start": b"\xff\xd8\xff",
    "no end": jpeg()[:-2], "half": jpeg()[:1500], "half with an end": jpeg()[:1500] + b"\xff\xd9", "head": jpeg()[:300],
}


def pillow(data: bytes) -> np.ndarray | None:
    """The pixels as Pillow alone reads them; None if it refuses to."""
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def as_pillow(path, data: bytes) -> bool:
    """Write and read a file; returns whether it was decoded fast."""
    path.write_bytes(data)
    expected = pillow(data)
    if expected is None:
        with pytest.raises(DatasetError, match=r"odd\.jpg: expected a readable image, found a damaged or foreign file"):
            read_image(path)
    else:
        np.testing.assert_array_equal(read_image(path), expected)
    return read_jpeg(path) is not None


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN)
def test_plain_files(data, tmp_path):
    assert as_pillow(tmp_path / "odd.jpg", data) == jpeg_files._copies_agree()


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_other_files(data, tmp_path):
    as_pillow(tmp_path / "odd.jpg", data)


@pytest.mark.parametrize("name", OTHERS.keys() - {"half with an end"})
def test_other_files_are_left_to_pillow(name):
    assert not jpeg_files._is_plain(OTHERS[name])


@pytest.mark.parametrize("name", ["quality 42, subsampling 2", "quality 95, subsampling 0", "gray", "restarts"])
def test_damaged_files(name, tmp_path):
    """Bits flipped anywhere, ends cut off."""
    chance, data, refused, fast = random.Random(0), PLAIN[name], 0, 0
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 4))):
            damaged[chance.randrange(2, len(damaged))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.2:
            damaged = damaged[: chance.randrange(200, len(damaged))] + b"\xff\xd9"
        fast += as_pillow(tmp_path / "odd.jpg", bytes(damaged))
        refused += pillow(bytes(damaged)) is None
    assert refused > 2
    assert fast > 50 or not jpeg_files._copies_agree()


def test_a_marker_within_a_scan_shows_damage():
    """OpenCV would return a picture, Pillow refuses it."""
    data = bytearray(jpeg(quality=95))
    middle = data.index(b"\xff\x00", len(data) // 2)
    data[middle + 1] = 0x10
    assert pillow(bytes(data)) is None
    assert not jpeg_files._is_plain(bytes(data))


def test_pictures_larger_than_pillow_allows(monkeypatch, tmp_path):
    jpeg_files._copies_agree()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    (tmp_path / "large.jpg").write_bytes(jpeg())
    assert read_jpeg(tmp_path / "large.jpg") is None
    with pytest.raises(DatasetError, match="exceeds limit"):
        read_image(tmp_path / "large.jpg")


@pytest.mark.parametrize("other", ["pixels", "nothing", "flag"])
def test_pillow_decodes_everything_if_the_copies_disagree(other, monkeypatch, tmp_path):
    decode = cv2.imdecode
    if other == "flag":
        monkeypatch.delattr(cv2, "IMREAD_COLOR_RGB", raising=False)
    else:
        monkeypatch.setattr(cv2, "imdecode", lambda *call: decode(*call) ^ 1 if other == "pixels" else None)
    jpeg_files._copies_agree.cache_clear()
    try:
        assert not as_pillow(tmp_path / "odd.jpg", jpeg())
    finally:
        jpeg_files._copies_agree.cache_clear()


def test_frames_of_other_formats_are_pillows(tmp_path):
    Image.fromarray(np.full((9, 7), 9000, np.uint16)).save(tmp_path / "deep.png")
    PICTURE.save(tmp_path / "picture.png")
    assert [read_jpeg(tmp_path / name) for name in ("deep.png", "missing.jpg")] == [None, None]
    assert (read_image(tmp_path / "deep.png") == 35).all()
    np.testing.assert_array_equal(read_image(tmp_path / "picture.png"), np.asarray(PICTURE))
    with pytest.raises(DatasetError, match="found no such file"):
        read_image(tmp_path / "missing.jpg")
