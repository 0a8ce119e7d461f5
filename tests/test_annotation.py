"""Annotating: everything is saved, corrections redo what they must, locks stand, another start goes on."""

import json
import threading

import numpy as np
import pytest

from dataset.errors import DatasetError
from inference.annotation.errors import Conflict, Missing, Refused
from inference.annotation.state import StateReader
from tests.annotating import COUNT, SHOWN, painted

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_correction_redoes_only_what_is_stale_and_locks_stand(annotating):
    at = annotating()
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


def test_only_masks_that_are_up_to_date_are_locked(annotating):
    at = annotating()
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
def test_a_new_start_goes_on(annotating, direction):
    at = annotating()
    at.annotation.give(1, painted())
    at.annotation.put_object(1, name="cat", color="#102030")
    at.propagate(direction)
    at.annotation.lock(3, True)
    at.wait()
    before, records = at.masks(), dict(at.annotation.engine.records.each)
    at = annotating()
    assert (at.board.given, at.board.locked, at.board.stale) == ({1}, {3}, frozenset())
    assert at.board.direction == direction
    assert at.annotation.objects.list() == [{"number": 1, "name": "cat", "color": "#102030", "visible": True}]
    assert at.annotation.engine.records.each == records
    np.testing.assert_array_equal(at.masks(), before)
    at.annotation.give(5, painted(place=2))
    assert at.propagate(direction) == ([5] if direction == "forward" else [4, 5])


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_corrections_after_a_new_start_give_the_masks_of_one_process(annotating, direction):
    def run(root, again):
        at = annotating(root)
        at.annotation.give(0, painted())
        at.propagate(direction)
        at = annotating(root) if again else at
        at.annotation.give(3, painted(place=3))
        assert at.propagate(direction) == ([3, 4, 5] if direction == "forward" else [*range(COUNT)])
        return at.masks()
    np.testing.assert_array_equal(run("one", False), run("two", True))


def test_a_mask_that_the_process_did_not_come_to_is_applied_later(annotating):
    at = annotating()
    at.annotation.give(0, painted())
    at.propagate()
    labels = at.project.read_given(0)
    at.project.write_given(3, np.flip(labels).copy())             # killed before the session knew it
    at = annotating()
    assert at.board.given == {0, 3}
    assert at.board.stale == {3, 4, 5}
    at.project.write_given(0, None)
    at = annotating()
    assert at.board.given == {3}
    assert at.board.stale == set(range(COUNT))


def test_a_damaged_state_costs_time_alone(annotating):
    at = annotating()
    at.annotation.give(0, painted())
    at.propagate()
    before = at.masks()
    for damaged in ('{"network": ', "[]", json.dumps(at.project.state() | {"session": {}})):
        at.project.state_file.write_text(damaged)
        at.annotation.engine.save = lambda: None                  # as if it had been killed
        at = annotating()
        assert at.board.stale == set(range(COUNT))
        at.propagate()
        np.testing.assert_array_equal(at.masks(), before)


def test_a_given_mask_of_another_size_is_refused(annotating):
    at = annotating()
    at.project.write_given(1, painted())
    with pytest.raises(DatasetError, match=r"00001\.png: expected .* 96x64 pixels, found .* in 48x32"):
        annotating()
    at.project.write_given(1, None)
    at.project.close()
    annotating()


def test_frames_are_segmented_while_masks_are_given(annotating):
    at = annotating()
    at.annotation.give(0, painted())
    at.wait()
    tell, at.annotation.engine.tell = at.annotation.engine.tell, None

    def correct(name, content):
        tell(name, content)
        if (name, content) == ("mask", {"frame": 4}) and 2 not in at.annotation.given:
            at.annotation.give(2, painted(place=3))
    at.annotation.engine.tell = correct
    assert at.propagate() == [0, 1, 2, 3, 4, 2, 3, 4, 5]


def test_cancelling_keeps_what_is_done(annotating):
    at = annotating()
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


def test_another_bank_makes_all_frames_stale_but_the_locked_ones(annotating):
    at = annotating()
    at.annotation.give(0, painted())
    at.propagate()
    at.annotation.lock(3, True)
    at.wait()
    locked = at.annotation.mask(3)
    at.annotation.set_bank("every_k", None)
    assert at.propagate() == [0, 1, 2, 4, 5]
    np.testing.assert_array_equal(at.annotation.mask(3), locked)
    assert annotating().board.bank.memory == "every_k"


def test_backward_segments_the_frames_before(annotating):
    at = annotating()
    at.annotation.give(3, painted())
    assert at.propagate("backward", 3) == [0, 1, 2, 3]
    assert at.board.stale == {4, 5}


def test_what_becomes_stale_is_known_before_the_session_knows_it(annotating):
    at = annotating()
    at.annotation.give(0, painted())
    at.propagate()
    at.annotation.lock(4, True)
    at.wait()
    state, busy = StateReader(at.annotation), threading.Event()
    at.annotation.worker.submit(lambda: busy.wait(60))             # such as a lock, which segments some frames again
    at.annotation.give(0, painted(place=3))
    at.annotation.give(2, painted(place=4))
    assert at.board.stale == set()
    assert (state.read()["stale"], state.read()["predicted"]) == ([[0, 3]], [[4, 5]])
    np.testing.assert_array_equal(at.annotation.mask(0), painted(place=3))
    with pytest.raises(Conflict, match="stale"):
        at.annotation.lock(3, True)
    busy.set()
    at.wait()
    assert at.board.stale == at.annotation.stale == {0, 1, 2, 3}


def test_an_empty_mask_is_refused_and_the_error_says_why(annotating):
    at = annotating()
    with pytest.raises(Refused, match="objects that a given mask does not show are predicted"):
        at.annotation.give(0, np.zeros(SHOWN, np.uint8))
    with pytest.raises(Refused, match="found 255"):
        at.annotation.give(0, np.full(SHOWN, 255, np.uint8))


def test_objects_are_removed_from_all_given_masks(annotating):
    at = annotating()
    at.annotation.give(0, np.maximum(painted(), painted(2, 20)))
    at.annotation.give(2, painted(2))
    at.annotation.remove_object(2)
    at.wait()
    assert at.board.given == {0}
    assert [each["number"] for each in at.annotation.objects.list()] == [1]
    np.testing.assert_array_equal(at.annotation.mask(0), np.where(painted(2, 20) == 2, 0, painted()))


def test_the_memory_panel_shows_what_a_frame_read(annotating):
    at = annotating()
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
    source = held["frames"][0]["frame"]
    picture = at.annotation.panel.picture(5, source)
    assert picture.shape == (*SHOWN, 3)
    at.annotation.put_object(1, color="#00ff00")                   # as it is painted, so are its entries
    difference = at.annotation.panel.picture(5, source).astype(int) - picture
    assert difference[..., 1].max() > 80
    assert difference[..., 0].min() < -40
    with pytest.raises(Missing, match="reads nothing"):
        at.annotation.panel.held(0)
    with pytest.raises(Missing, match="of frame 5"):
        at.annotation.panel.picture(5, 5)
