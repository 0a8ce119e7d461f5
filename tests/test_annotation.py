"""Annotating: everything is saved, corrections redo what they must, locks stand, exports are those of segment_video."""

import json

import numpy as np
import pytest

from dataset.masks import read_labels
from inference.annotation.errors import Conflict, Missing, Refused
from inference.annotation.grabcut import Hints, grab_cut
from inference.annotation.sizes import enlarged, shrunk
from inference.annotation.video import Shown
from inference.errors import RunError
from scripts import segment_video
from tests.annotating import COUNT, SHORT_SIDE, SHOWN, SIZE, Annotating, painted, write_frames

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def opened(clip, tmp_path, weights):
    """A function that opens the annotation, anew or again; everything is closed at the end."""
    frames, each = write_frames(tmp_path / "frames", clip), []

    def open_again(root="out"):
        if each:
            each[-1].annotation.close()
        each.append(Annotating(tmp_path / root, frames, weights))
        return each[-1]

    yield open_again
    each[-1].annotation.close()


def test_a_correction_redoes_only_what_is_stale_and_locks_stand(opened):
    at = opened()
    at.annotation.give(0, painted())
    assert at.propagate() == [0, 1, 2, 3, 4, 5]
    at.annotation.lock(4, True)
    before = at.masks()
    at.annotation.give(2, painted(place=4))
    at.wait()
    assert at.board.stale == {2, 3}
    np.testing.assert_array_equal(at.annotation.mask(2), painted(place=4))       # shown before it is propagated
    assert at.propagate() == [2, 3]
    after = at.masks()
    np.testing.assert_array_equal(after[2], painted(place=4))
    for frame in (0, 1, 4, 5):
        np.testing.assert_array_equal(after[frame], before[frame])
    with pytest.raises(Conflict, match="locked"):
        at.annotation.give(4, painted())
    with pytest.raises(Conflict, match="locked"):
        at.annotation.take_back(4)
    at.annotation.lock(4, False)
    assert at.propagate() == [4, 5]


def test_only_masks_that_are_up_to_date_are_locked(opened):
    at = opened()
    with pytest.raises(Conflict, match="none"):
        at.annotation.lock(1, True)
    with pytest.raises(Missing, match="frame 6"):
        at.annotation.lock(COUNT, True)
    at.annotation.give(0, painted())
    at.propagate()
    at.annotation.give(0, painted(place=2))
    at.wait()
    with pytest.raises(Conflict, match="stale"):
        at.annotation.lock(1, True)


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_new_start_goes_on(opened, direction):
    at = opened()
    at.annotation.give(1, painted())
    at.annotation.put_object(1, name="cat", color="#102030")
    at.propagate(direction)
    at.annotation.lock(3, True)
    at.wait()
    before, records = at.masks(), dict(at.annotation.engine.records.each)
    at = opened()
    assert (at.board.given, at.board.locked, at.board.stale) == ({1}, {3}, frozenset())
    assert at.board.direction == direction
    assert at.annotation.objects.list() == [{"number": 1, "name": "cat", "color": "#102030", "visible": True}]
    assert at.annotation.engine.records.each == records
    np.testing.assert_array_equal(at.masks(), before)
    at.annotation.give(5, painted(place=2))
    assert at.propagate(direction) == ([5] if direction == "forward" else [4, 5])


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_corrections_after_a_new_start_give_the_masks_of_one_process(opened, direction):
    def run(root, again):
        at = opened(root)
        at.annotation.give(0, painted())
        at.propagate(direction)
        at = opened(root) if again else at
        at.annotation.give(3, painted(place=3))
        assert at.propagate(direction) == ([3, 4, 5] if direction == "forward" else [*range(COUNT)])
        return at.masks()
    np.testing.assert_array_equal(run("one", False), run("two", True))


def test_a_mask_that_the_process_did_not_come_to_is_applied_later(opened):
    at = opened()
    at.annotation.give(0, painted())
    at.propagate()
    labels = at.project.read_given(0)
    at.project.write_given(3, np.flip(labels).copy())             # killed before the session knew it
    at = opened()
    assert at.board.given == {0, 3}
    assert at.board.stale == {3, 4, 5}
    at.project.write_given(0, None)
    at = opened()
    assert at.board.given == {3}
    assert at.board.stale == set(range(COUNT))


def test_a_damaged_state_costs_time_alone(opened):
    at = opened()
    at.annotation.give(0, painted())
    at.propagate()
    before = at.masks()
    at.project.state_file.write_text('{"network": ')
    at.annotation.engine.save = lambda: None                      # as if it had been killed
    at = opened()
    assert at.board.stale == set(range(COUNT))
    at.propagate()
    np.testing.assert_array_equal(at.masks(), before)


def test_frames_are_segmented_while_masks_are_given(opened):
    at = opened()
    at.annotation.give(0, painted())
    at.wait()
    tell, at.annotation.engine.tell = at.annotation.engine.tell, None

    def correct(name, content):
        tell(name, content)
        if (name, content) == ("mask", {"frame": 4}) and 2 not in at.annotation.given:
            at.annotation.give(2, painted(place=3))
    at.annotation.engine.tell = correct
    assert at.propagate() == [0, 1, 2, 3, 4, 2, 3, 4, 5]


def test_cancelling_keeps_what_is_done(opened):
    at = opened()
    at.annotation.give(0, painted())
    at.wait()
    tell = at.annotation.engine.tell

    def stop(name, content):
        tell(name, content)
        if (name, content) == ("mask", {"frame": 1}):
            at.annotation.worker.cancel()
    at.annotation.engine.tell = stop
    assert at.propagate() == [0, 1]
    assert at.board.stale == {2, 3, 4, 5}
    assert at.told[-2:] == [("progress", None), ("state", {})]
    with pytest.raises(Conflict, match="without one"):
        at.annotation.export(["masks"])
    at.annotation.engine.tell = tell
    assert at.propagate() == [2, 3, 4, 5]


def test_another_bank_makes_all_frames_stale_but_the_locked_ones(opened):
    at = opened()
    at.annotation.give(0, painted())
    at.propagate()
    at.annotation.lock(3, True)
    at.wait()
    locked = at.annotation.mask(3)
    at.annotation.set_bank("every_k", None)
    assert at.propagate() == [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(at.annotation.mask(3), locked)
    assert opened().board.bank.memory == "every_k"


def test_backward_segments_the_frames_before(opened):
    at = opened()
    at.annotation.give(3, painted())
    assert at.propagate("backward", 3) == [0, 1, 2, 3]
    assert at.board.stale == {4, 5}


def test_objects_are_removed_from_all_given_masks(opened):
    at = opened()
    at.annotation.give(0, np.maximum(painted(), painted(2, 20)))
    at.annotation.give(2, painted(2))
    at.annotation.remove_object(2)
    at.wait()
    assert at.board.given == {0}
    assert [each["number"] for each in at.annotation.objects.list()] == [1]
    np.testing.assert_array_equal(at.annotation.mask(0), np.where(painted(2, 20) == 2, 0, painted()))


def test_the_memory_panel_shows_what_a_frame_read(opened):
    at = opened()
    at.annotation.give(0, painted())
    at.propagate()
    held = at.annotation.panel.held(5)
    cells = held["cells"]["height"] * held["cells"]["width"]
    assert cells == 6
    assert held["entries"] == sum(each["count"] for each in held["frames"]) <= 2 * cells
    assert {each["frame"] for each in held["frames"]} <= {0, 2, 4}
    reads = at.annotation.panel.reads(5, 20, 10)
    assert len(reads) == 5
    assert sum(each["weight"] for each in reads) == pytest.approx(1, abs=0.01)
    assert at.annotation.panel.picture(5, held["frames"][0]["frame"]).shape == (*SHOWN, 3)
    with pytest.raises(Missing, match="reads nothing"):
        at.annotation.panel.held(0)
    with pytest.raises(Missing, match="of frame 5"):
        at.annotation.panel.picture(5, 5)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["forward", "both"])
def test_an_export_is_what_segment_video_writes(opened, direction, tmp_path, weights):
    at = opened()
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
        "cpu", "--precision", "fp32", "--tune", "off", "--memory-every", "2", "--top-k", "5", "--cutouts", "--rle",
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


def test_an_export_is_of_the_size_of_the_video(opened, tmp_path):
    at = opened()
    at.annotation.give(0, painted())
    at.propagate()
    at.annotation.export([]).result(120)
    assert read_labels(tmp_path / "out/masks/00005.png").shape == SIZE


def test_the_folder_belongs_to_one_video_and_one_process(opened, clip, tmp_path, weights):
    at = opened()
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
    from inference.annotation.video import read_video

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
