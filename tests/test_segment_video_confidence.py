"""scripts/segment_video.py: confidence.csv, marks in the overlay, lost objects, frames worth annotating next."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from dataset.folder import Frame
from dataset.masks import write_labels
from inference.errors import RunError
from inference.quality import Quality
from inference.video.marks import draw_marks
from inference.video.output import VideoOutput
from inference.video.watch import Watch
from inference.views import ViewSegmenter
from tests.own_video import FRAMES, SIZE, make_clip, read_video, refused, segment, write_folder

pytestmark = pytest.mark.usefixtures("one_thread")

SURE, UNSURE = 0.9, 0.2


@pytest.fixture(scope="module")
def clip():
    return make_clip()


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    """frames/; first.png beside it, with objects 1 and 7."""
    frames = write_folder(tmp_path, clip)
    labels = clip[0][1].copy()
    labels[:12, :12] = 7
    write_labels(tmp_path / "first.png", labels)
    return frames


@pytest.fixture
def qualities(monkeypatch):
    """`set(object, confidences)`: what the segmenter says of the object at each frame; `SURE` otherwise. An area of 0
    comes with a confidence of None."""
    said: dict[int, list[float | None]] = {}
    seen = []

    def quality(self, probabilities):
        seen.append(len(seen))
        values = [said.get(number, [SURE] * FRAMES)[seen[-1]] for number in self.objects]
        return Quality(torch.tensor([0.0 if value is None else 30.0 for value in values]),
                       torch.tensor([UNSURE if value is None else value for value in values]))

    monkeypatch.setattr(ViewSegmenter, "quality", quality)
    return said.__setitem__


def rows(output: Path) -> list[dict[str, str]]:
    with open(output / "confidence.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_confidence_csv_has_a_row_per_frame_and_object(folder, clip, weights, capsys):
    output = segment(folder, folder.parent / "first.png", weights, "--short-side", 0)
    assert [(row["frame"], row["object"]) for row in rows(output)] == [
        (f"frame {index + 3}", number) for index in range(FRAMES) for number in ("1", "7")]
    first, other = rows(output)[:2]
    assert int(other["area"]) == 12 * 12
    assert first["state"] == other["state"] == "present"
    assert float(first["confidence"]) > 0.9
    run = json.loads((output / "run.json").read_text())
    of_one = [float(row["confidence"]) for row in rows(output) if row["object"] == "1"]
    assert run["objects"]["1"]["confidence_mean"] == pytest.approx(np.mean(of_one), abs=1e-4)
    assert run["objects"]["7"]["frames"] == FRAMES
    assert "confidence.csv" in capsys.readouterr().out
    segment(folder, folder.parent / "first.png", weights, "--overwrite", "--max-frames", 2)
    assert len(rows(output)) == 4


def test_rows_of_a_run_that_is_stopped_are_those_of_its_masks(folder, weights, monkeypatch):
    original = VideoOutput.write
    monkeypatch.setattr(VideoOutput, "write", lambda self, result: (
        original(self, result), result.frame.name == "frame 5" and os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(SystemExit, match="130"):
        segment(folder, folder.parent / "first.png", weights)
    output = folder.parent / "out"
    assert {row["frame"] for row in rows(output)} == {path.stem for path in (output / "masks").iterdir()}
    assert len(rows(output)) == 3 * 2


def test_run_json_has_the_ranges_in_which_an_object_is_absent_or_uncertain(folder, weights, qualities):
    qualities(7, [SURE, None, None, UNSURE, SURE, UNSURE, UNSURE, SURE])
    output = segment(folder, folder.parent / "first.png", weights)
    of_seven = json.loads((output / "run.json").read_text())["objects"]["7"]
    assert of_seven["absent"] == [["frame 4", "frame 5"]]
    assert of_seven["uncertain"] == [["frame 6", "frame 6"], ["frame 8", "frame 9"]]
    assert [row["state"] for row in rows(output) if row["object"] == "7"] == [
        "present", "absent", "absent", "uncertain", "present", "uncertain", "uncertain", "present"]


def test_a_lost_object_ends_the_run_and_the_message_names_it_and_the_frame(folder, weights, qualities, capsys):
    qualities(7, [SURE, UNSURE, SURE, UNSURE, None, UNSURE, SURE, SURE])
    mask = folder.parent / "first.png"
    words = "object 7: expected to find it, found it absent or uncertain in 3 frames from frame 6 on; paint its mask"
    refused(capsys, f"{words} in frame frame 6,", folder, mask, weights, "--pause-when-lost", 3)
    output = folder.parent / "out"
    assert len(list((output / "masks").iterdir())) == len(read_video(output / "overlay.mp4")) == 6
    assert len(rows(output)) == 6 * 2
    assert not (output / "run.json").exists()


@pytest.mark.parametrize("more", [(), ("--pause-when-lost", 4), ("--pause-when-lost",)])
def test_an_object_that_returns_in_time_ends_nothing(more, folder, weights, qualities):
    qualities(7, [SURE, UNSURE, SURE, UNSURE, None, UNSURE, SURE, SURE])
    output = segment(folder, folder.parent / "first.png", weights, *more)
    assert json.loads((output / "run.json").read_text())["totals"]["frames"] == FRAMES


def test_the_frames_worth_annotating_are_printed_and_recorded(folder, weights, qualities, capsys):
    qualities(7, [SURE, SURE, SURE, SURE, SURE, 0.1, SURE, SURE])
    output = segment(folder, folder.parent / "first.png", weights)
    assert "frames worth annotating next: frame 8 (object 7, confidence 0.10)" in capsys.readouterr().out
    (best,) = json.loads((output / "run.json").read_text())["suggestions"]
    assert best["frame"] == "frame 8"
    assert best["confidence"] == {"1": pytest.approx(SURE), "7": pytest.approx(0.1)}


def test_a_watch_stays_small_and_names_the_frame_where_the_object_was_lost():
    watch = Watch(pause_after=5)
    frame = np.zeros((2, 2, 3), np.uint8)
    for index in range(6000):
        flickering = UNSURE if index % 4 < 2 else SURE
        watch.see(Frame(f"{index:05d}", frame, None), [3], Quality(torch.ones(1), torch.tensor([flickering])), None)
    assert len(watch.record()["objects"][3]["uncertain"]) == 1000
    lost = Quality(torch.zeros(1), torch.zeros(1))
    for index in range(6000, 6004):
        watch.see(Frame(f"{index:05d}", frame, None), [3], lost, None)
    with pytest.raises(RunError, match=r"object 3: .* in 5 frames from 06000 on"):
        watch.see(Frame("06004", frame, None), [3], lost, None)


@pytest.mark.parametrize("background", [0, 255])
def test_marks_can_be_read_on_dark_and_on_light(background):
    picture = np.full((240, 320, 3), background, np.uint8)
    draw_marks(picture, [(1, "1 93%"), (2, "2 absent")])
    corner, rest = picture[:22, :80], picture[30:, 160:]
    assert corner.min() < 30
    assert corner.max() > 220
    assert (corner == [128, 0, 0]).all(-1).any()                       # the color of object 1
    assert (rest == background).all()


def test_marks_of_many_objects_stay_inside_of_the_picture_as_far_as_they_fit():
    picture = np.zeros((*SIZE, 3), np.uint8)
    draw_marks(picture, [(number, f"{number} 93%") for number in range(1, 31)])
    assert picture[:, :48].any()
    assert picture[:, 48:].any()


def test_the_overlay_shows_marks_and_masks_do_not(folder, weights, qualities):
    qualities(7, [None] * FRAMES)
    output = segment(folder, folder.parent / "first.png", weights)
    corner = read_video(output / "overlay.mp4")[1][:22, :30]
    assert (corner < 60).mean() > 0.5                                  # two lines on black
