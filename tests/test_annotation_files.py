"""What comes out of an annotation, and what goes in: exports, its folder, frames, painted and proposed masks."""

import json

import numpy as np
import pytest

from dataset.masks import read_labels
from inference.annotation.errors import Refused
from inference.annotation.grabcut import Hints, grab_cut
from inference.annotation.sizes import enlarged, shrunk
from inference.annotation.video import Shown, read_video
from inference.errors import RunError
from scripts import segment_video
from tests.annotating import COUNT, SHORT_SIDE, SHOWN, SIZE, Annotating, painted

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["forward", "both"])
def test_an_export_is_what_segment_video_writes(annotating, direction, tmp_path, weights):
    at = annotating()
    at.annotation.give(0, painted())
    at.propagate(direction)
    at.annotation.give(3, np.maximum(painted(place=12), painted(2, 2)))          # a correction, and a new object
    at.propagate(direction)
    answer = at.annotation.export(["masks", "overlay", "cutouts", "rle"]).result(120)
    assert answer["note"] is None
    assert set(answer["files"]) == {"masks", "overlay.mp4", "cutouts", "masks.json", "confidence.csv", "run.json"}
    masks = sorted((tmp_path / "out/given").glob("*.png"))
    assert [mask.name for mask in masks] == ["00000.png", "00003.png"]
    segment_video.main([
        "--input", str(tmp_path / "frames"), "--mask", *map(str, masks), "--weights", str(weights),
        "--output", str(tmp_path / "alone"), "--direction", direction, "--short-side", str(SHORT_SIDE), "--device",
        "cpu", "--precision", "fp32", "--decode", "full", "--tune", "off", "--memory-every", "2", "--top-k", "5",
        "--cutouts", "--rle",
    ])
    alone = {path.relative_to(tmp_path / "alone"): path for path in (tmp_path / "alone").rglob("*.*")}
    assert len([path for path in alone if path.parent.name == "masks"]) == COUNT
    for name, path in alone.items():
        if path.is_file() and name.name not in ("run.json", ".segment_video"):
            assert (tmp_path / "out" / name).read_bytes() == path.read_bytes(), name
    settings = [json.loads((tmp_path / root / "run.json").read_text())["settings"] for root in ("out", "alone")]
    ignored = {"mask": None, "precision": None, "objects_at_once": None}
    assert settings[0] | ignored == settings[1] | ignored
    assert at.annotation.export(["masks"]).result(120)["files"] == ["masks", "confidence.csv", "run.json"]


def test_an_export_is_of_the_size_of_the_video(annotating, tmp_path):
    at = annotating()
    at.annotation.give(0, painted())
    at.propagate()
    at.annotation.export([]).result(120)
    assert read_labels(tmp_path / "out/masks/00005.png").shape == SIZE


def test_the_folder_belongs_to_one_video_and_one_process(annotating, clip, tmp_path, weights):
    at = annotating()
    with pytest.raises(RunError, match="open in another"):
        Annotating(tmp_path / "out", tmp_path / "frames", weights)
    at.annotation.close()
    (tmp_path / "frames/00005.png").unlink()
    with pytest.raises(RunError, match="expected an annotation of"):
        Annotating(tmp_path / "out", tmp_path / "frames", weights)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/notes.txt").touch()
    with pytest.raises(RunError, match="other files"):
        Annotating(tmp_path / "foreign", tmp_path / "frames", weights)


def test_frames_of_a_video_file_are_decoded_once(video, clip, tmp_path, monkeypatch):
    of_file = read_video(video)
    shown = Shown(of_file, SHOWN, tmp_path / "shown")
    shown.prepare()
    monkeypatch.setattr("inference.annotation.video.open_video", None)
    shown.prepare()
    for index in (7, 0, 3):
        assert np.abs(shown.image(index).astype(int) - clip[index][0][1::2, 1::2]).mean() < 25
    assert shown.jpeg(7) != shown.jpeg(0)


def test_painting_keeps_the_finer_edges_where_nothing_was_painted():
    rng = np.random.default_rng(0)
    current = rng.integers(0, 3, (65, 97), np.uint8)
    edited = shrunk(current, SHOWN).copy()
    edited[3:9, 4:30] = 7
    full = enlarged(edited, current, current.shape)
    np.testing.assert_array_equal(shrunk(full, SHOWN), edited)
    np.testing.assert_array_equal(full[30:], current[30:])
    assert (full[8:16, 12:56] == 7).all()


def test_grab_cut_finds_a_square():
    image = np.random.default_rng(0).integers(0, 20, (60, 80, 3), np.uint8) + np.array([20, 120, 60], np.uint8)
    image[20:40, 30:55] += np.array([150, 0, 100], np.uint8)
    square = np.zeros((60, 80), np.uint8)
    square[20:40, 30:55] = 1
    for hints in (Hints((22, 12, 62, 48), [], [], 2), Hints(None, [[(40, 30), (45, 32)]], [[(5, 5), (70, 5)]], 2)):
        assert (grab_cut(image, hints) != square).sum() < 50          # of 500: it smooths corners
    without = grab_cut(image, Hints((22, 12, 62, 48), [], [[(30, 30), (54, 30)]], 4))
    assert not without[30, 32:52].any()
    for wrong in (Hints(None, [], [[(1, 1)]], 2), Hints((5, 5, 5, 5), [], [], 2), Hints((-9, -9, 99, 99), [], [], 2)):
        with pytest.raises(Refused):
            grab_cut(image, wrong)
