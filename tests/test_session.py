"""Session: corrections redo only what they must, and the result is that of a run from scratch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.session import Session
from tests.session_segmenter import SIZE, ChainedSegmenter, make_frames, make_mask, result_of

LENGTH = 9
FRAMES = make_frames(LENGTH)
ACTIONS = st.tuples(
    st.sampled_from(["give", "give", "take back", "lock", "unlock", "run", "run all"]), st.integers(0, LENGTH - 1),
    st.integers(1, 3),
)
SESSIONS = dict(actions=st.lists(ACTIONS, min_size=10, max_size=10), every=st.integers(1, 5))


def session_of(given=None, frames=FRAMES, every=3, **options):
    session = Session(frames, ChainedSegmenter, checkpoint_every=every, **options)
    for index, mask in (given or {}).items():
        session.give(index, mask)
    return session


def act(session, action, index, number):
    """One action of a user, also where it is refused."""
    if action == "run all":
        return result_of(session)
    if action == "run":                                    # stopped after some frames
        running = session.run()
        for _ in range(number):
            next(running, None)
        return running.close()
    if action == "unlock":
        return session.unlock(index)
    calls = {"give": lambda: session.give(index, make_mask(index, number)), "lock": lambda: session.lock(index),
             "take back": lambda: session.take_back(index)}
    refused = index in (session.stale if action == "lock" else session.locked)
    if refused or (action == "take back" and index not in session.given):
        with pytest.raises((ValueError, KeyError), match=str(index)):
            calls[action]()
        return None
    return calls[action]()


class Expectation:
    """What a forward session with locks shall show: each part after a locked frame continues from what was given when
    it was locked."""

    def __init__(self):
        self.locks = {}                                    # locked frame -> masks given up to it, when it was locked

    def effective(self, index, given):
        lock = max((lock for lock in self.locks if lock <= index), default=-1)
        earlier = self.locks.get(lock, {})
        return earlier | {at: mask for at, mask in given.items() if lock < at <= index}

    def follow(self, session):
        for index in session.locked:
            if index not in self.locks:
                self.locks[index] = self.effective(index, session.given)
        self.locks = {index: masks for index, masks in self.locks.items() if index in session.locked}

    def labels(self, index, given):
        masks, segmenter = self.effective(index, given), ChainedSegmenter()
        for at in range(index + 1):
            if at in masks or segmenter.objects:
                probabilities = segmenter.step(FRAMES[at], masks.get(at))
            else:
                segmenter.skip()
        return segmenter.labels(probabilities) if segmenter.objects else np.zeros(SIZE, np.uint8)


@settings(max_examples=200)
@given(**SESSIONS)
def test_after_ten_corrections_a_session_equals_a_run_from_scratch(actions, every):
    session, expectation = session_of(every=every), Expectation()
    for action in actions:
        act(session, *action)
        expectation.follow(session)
    for index, labels in enumerate(result_of(session)):
        np.testing.assert_array_equal(labels, expectation.labels(index, session.given))
    for index in session.locked:
        session.unlock(index)
    np.testing.assert_array_equal(result_of(session), result_of(session_of(session.given)))


@pytest.mark.slow
@settings(max_examples=80)
@given(**SESSIONS, keep_given=st.booleans())
def test_so_does_a_session_in_both_directions(actions, every, keep_given):
    session, locked = session_of(every=every, both=True, keep_given=keep_given), {}
    for action in actions:
        act(session, *action)
        locked = {index: locked.get(index, session.labels(index)) for index in session.locked}
        for index, labels in locked.items():
            np.testing.assert_array_equal(session.labels(index), labels)
    result_of(session)
    for index, labels in locked.items():
        np.testing.assert_array_equal(session.labels(index), labels)
        session.unlock(index)
    again = session_of(session.given, both=True, keep_given=keep_given)
    np.testing.assert_array_equal(result_of(session), result_of(again))


def test_a_correction_in_a_long_clip_segments_only_its_range():
    session = session_of({0: make_mask(0, 1)}, make_frames(500), every=20)
    before = result_of(session)
    assert session.segmented_frames == 500
    session.lock(300)
    kept = session.segmented_frames
    assert kept == 501                                     # from the checkpoint before frame 300 to the state after it
    session.give(250, make_mask(1, 1))
    assert session.stale == list(range(250, 300))
    after = result_of(session)
    assert session.segmented_frames == kept + 10 + 50      # from the checkpoint before frame 240
    changed = [index for index in range(500) if not np.array_equal(before[index], after[index])]
    assert set(changed) <= set(range(250, 300))
    assert len(changed) > 40
    session.give(400, make_mask(1, 1))
    result_of(session)
    assert session.segmented_frames == kept + 60 + 100


def test_in_both_directions_each_pass_segments_its_side_of_a_correction():
    session = session_of({0: make_mask(0, 1), 99: make_mask(0, 1)}, make_frames(100), every=10, both=True)
    result_of(session)
    assert session.segmented_frames == 200
    for index in (40, 60):
        session.lock(index)
    before = session.segmented_frames
    session.give(50, make_mask(1, 1))
    assert session.stale == list(range(41, 60))
    result_of(session)
    assert session.segmented_frames == before + 10 + 10 + 9      # backward from the checkpoint 9 frames after it


def test_distances_are_those_to_the_last_given_mask_of_each_object():
    one, two = (np.full(SIZE, number, np.uint8) for number in (1, 2))
    session = session_of({1: one, 3: two, 7: one}, every=2)
    result_of(session)
    session.give(5, two)
    assert [session.segment(index).distances for index in (5, 6, 7, 8)] == [[4, 0], [5, 1], [0, 2], [1, 3]]


def test_an_interrupted_run_takes_no_step_twice_and_tells_how_many_are_left():
    session, left = session_of({4: make_mask(0, 1)}, both=True), []
    running = session.run(left.append)
    first = [next(running)[0] for _ in range(3)]
    running.close()
    assert first == [0, 1, 2]
    assert session.stale == list(range(3, LENGTH))
    result_of(session)
    assert session.segmented_frames == 10                  # frames 0 to 4 backward, 4 to 8 forward
    assert left == list(range(2 * LENGTH - 1, LENGTH - 4, -1))


def test_an_error_in_a_segmenter_leaves_the_session_usable(monkeypatch):
    session = session_of({0: make_mask(0, 1)})
    calls, original = [], ChainedSegmenter.step

    def step(segmenter, *arguments):
        found = original(segmenter, *arguments)
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(ChainedSegmenter, "step", step)
    with pytest.raises(KeyboardInterrupt):
        result_of(session)
    assert session.stale == [5, 6, 7, 8]
    np.testing.assert_array_equal(result_of(session), result_of(session_of(session.given)))


def test_a_change_between_two_frames_of_a_run_counts_at_once():
    session = session_of({0: make_mask(0, 1)})
    shown = []
    for index, _ in session.run():
        shown.append(index)
        if len(shown) == 5:
            session.give(2, make_mask(2, 2))
    assert shown == [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 7, 8]
    masks = [session.labels(index) for index in range(LENGTH)]
    np.testing.assert_array_equal(masks, result_of(session_of(session.given)))


def test_checkpoints_are_thinned_out_but_locked_states_stay(monkeypatch):
    monkeypatch.setattr("inference.session.session._MOST_CHECKPOINTS", 4)
    session = session_of({0: make_mask(0, 1)}, make_frames(60), every=2)
    for index, _ in session.run():
        if index == 10:
            session.lock(10)
    assert sorted(session.forward.checkpoints.states) == [11, 16, 32, 48]
    session.give(3, make_mask(3, 1))
    session.give(20, make_mask(4, 2))
    result_of(session)
    session.unlock(10)
    np.testing.assert_array_equal(result_of(session), result_of(session_of(session.given, session.frames)))


def test_masks_lie_in_a_folder_if_one_is_given(tmp_path):
    sessions = [session_of({3: make_mask(0, 2)}, both=True, folder=folder) for folder in (None, tmp_path / "masks")]
    np.testing.assert_array_equal(*map(result_of, sessions))
    assert [path.name for path in sorted((tmp_path / "masks").glob("*.png"))] == [f"{i:05d}.png" for i in range(LENGTH)]


def test_so_do_states_and_the_steps_are_the_same(tmp_path):
    sessions = [session_of({0: make_mask(0, 1)}, every=2, folder=folder) for folder in (None, tmp_path)]
    for session in sessions:
        result_of(session)
        session.lock(7)
        session.give(5, make_mask(1, 2))
    files = tmp_path.glob(".checkpoints-*/*")
    assert sorted(int(path.stem) for path in files) == sorted(sessions[1].forward.checkpoints.states) == [2, 4, 8]
    np.testing.assert_array_equal(*map(result_of, sessions))
    assert sessions[0].segmented_frames == sessions[1].segmented_frames == 9 + 3        # from the checkpoint 4
    sessions.clear()
    del session
    assert list(tmp_path.glob(".checkpoints-*")) == []


def test_what_cannot_be_given_is_refused():
    session = session_of()
    for mask in (np.ones((2, 2), int), np.zeros(SIZE, int), np.full(SIZE, 255), np.full(SIZE, -1)):
        with pytest.raises(ValueError, match=r"frame 2: expected a mask of \(3, 4\) with object numbers from 1 to 254"):
            session.give(2, mask)
    for index in (-1, LENGTH):
        with pytest.raises(ValueError, match="expected a frame from 0 to 8"):
            session.give(index, make_mask(0, 1))
    assert session.labels(0) is None
    with pytest.raises(ValueError, match=r"frame 0: .* stale; run first"):
        session.lock(0)
    result_of(session)
    assert session.segmented_frames == 0                   # nothing is given: nothing is segmented
    session.lock(4)
    with pytest.raises(ValueError, match=r"frame 4: .*unlock it first"):
        session.give(4, make_mask(0, 1))
    mask = make_mask(0, 1)
    session.give(1, mask)
    result_of(session)
    session.give(1, mask.copy())                           # the same once more changes nothing
    assert session.stale == []
