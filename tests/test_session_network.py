"""Session with the network: equal to the streaming segmenter; both directions; given masks that stay in memory."""

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.memory import MemoryConfigError
from inference.session import Session
from inference.views import View, ViewSegmenter
from tests.fixtures import EVERY_POLICY
from tests.session_segmenter import result_of

LENGTH = 8


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread):
    """These pictures are small."""


@pytest.fixture(scope="module")
def clip():
    return list(SyntheticClip(seed=1, size=(32, 48), length=LENGTH, objects=2, late=3))


def maker(network, memory="lfu", frames=3, **options):
    return lambda: VideoSegmenter(network, build_memory(memory, frames, top_k=5, seed=1, **options), 2)


def session_of(network, frames, given, memory="lfu", held=3, every=3, **options):
    session = Session(frames, maker(network, memory, held), checkpoint_every=every, **options)
    for index, mask in given.items():
        session.give(index, mask)
    return session


def streamed(segmenter, frames, given):
    return [segmenter.labels(segmenter.step(frame, given.get(index))) for index, frame in enumerate(frames)]


@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_a_corrected_session_equals_the_streaming_segmenter(prepared_network, clip, memory):
    frames, masks = zip(*clip, strict=True)
    session = session_of(prepared_network, frames, {0: masks[0]}, memory)
    for corrected in (4, 2):
        result_of(session)
        session.give(corrected, masks[corrected])
    running = session.run()
    for _ in range(3):
        next(running)
    running.close()
    session.take_back(4)
    expected = streamed(maker(prepared_network, memory)(), frames, {0: masks[0], 2: masks[2]})
    np.testing.assert_array_equal(result_of(session), expected)


def test_views_are_segmented_as_in_a_stream(prepared_network, clip):
    frames, masks = zip(*clip, strict=True)
    views = (View(), View(flip=True))

    def make():
        return ViewSegmenter([VideoSegmenter(prepared_network, build_memory("lfu"), 2) for _ in views], views)

    session = Session(frames, make, checkpoint_every=2)
    session.give(1, masks[1])
    result_of(session)
    session.give(5, masks[5])
    np.testing.assert_array_equal(result_of(session), streamed(make(), frames, {1: masks[1], 5: masks[5]}))


def test_backward_on_a_clip_mirrored_in_time_equals_forward(prepared_network, clip):
    frames, masks = zip(*clip, strict=True)
    mirrored = session_of(prepared_network, frames[::-1], {LENGTH - 1: masks[0], LENGTH - 5: masks[4]}, both=True)
    mirrored.take_back(LENGTH - 5)
    expected = streamed(maker(prepared_network)(), frames, {0: masks[0]})
    np.testing.assert_array_equal(result_of(mirrored)[::-1], expected)
    assert len(np.unique(expected)) > 1


@pytest.mark.parametrize("keep_given", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_both_directions_mirrored_in_time_are_the_same(prepared_network, clip, keep_given):
    frames, masks = zip(*clip, strict=True)
    given = {1: np.where(masks[1] == 1, 1, 0), 6: masks[6], 3: np.where(masks[3] == 2, 2, 0)}
    options = {"both": True, "keep_given": keep_given, "held": 5}
    straight = result_of(session_of(prepared_network, frames, given, **options))
    there = {LENGTH - 1 - index: mask for index, mask in given.items()}
    mirrored = result_of(session_of(prepared_network, frames[::-1], there, **options))
    np.testing.assert_array_equal(straight, mirrored[::-1])
    for index, mask in given.items():
        for number in set(np.unique(mask)) - {0}:
            np.testing.assert_array_equal(straight[index] == number, mask == number)
    forward = streamed(maker(prepared_network)(), frames, given)
    assert not np.array_equal(straight[2], forward[2])


def test_after_the_last_given_mask_both_directions_are_the_forward_one(prepared_network, clip):
    frames, masks = zip(*clip, strict=True)
    given = {1: masks[1], 4: masks[4]}
    session = session_of(prepared_network, frames, given, both=True)
    np.testing.assert_array_equal(result_of(session)[5:], streamed(maker(prepared_network)(), frames, given)[5:])
    for index, mask in given.items():
        np.testing.assert_array_equal(session.labels(index), mask)


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["lfu", "novelty", "random"])
def test_kept_masks_are_never_evicted(prepared_network, clip, memory):
    frames, masks = zip(*clip, strict=True)
    given = {0: masks[0], 4: masks[4]}
    for keep in (False, True):
        segmenter = ViewSegmenter([maker(prepared_network, memory)()], keep_given=keep)
        streamed(segmenter, frames * 2, given)
        bank = segmenter.segmenters[0].memory
        held = torch.bincount(bank.entries.written, minlength=5)
        assert bank.entries.held == 3 * bank.cells
        if keep:
            assert held[0] == held[4] == bank.cells
    session = session_of(prepared_network, frames, {0: masks[0], 5: masks[5]}, memory, keep_given=True)
    result_of(session)
    session.take_back(5)
    session.give(4, masks[4])
    np.testing.assert_array_equal(result_of(session), streamed(segmenter_of(prepared_network, memory), frames, given))


def segmenter_of(network, memory):
    return ViewSegmenter([maker(network, memory)()], keep_given=True)


@pytest.mark.slow
def test_with_kept_masks_each_pass_begins_with_all_of_them(prepared_network, clip):
    frames, masks = zip(*clip, strict=True)
    session = session_of(prepared_network, frames, {2: masks[2], 6: masks[6]}, both=True, keep_given=True)
    next(session.run())
    for each in session.passes:
        bank = each.segmenter.segmenters[0].memory
        written = torch.bincount(bank.entries.written, minlength=LENGTH)
        assert written[each.flip(2)] == written[each.flip(6)] == bank.cells
    alone = session_of(prepared_network, frames, {2: masks[2], 6: masks[6]}, both=True)
    assert not np.array_equal(result_of(session), result_of(alone))
    session.lock(5)
    locked = session.labels(5)
    session.give(1, masks[1])
    assert session.stale == [0, 1, 2, 3, 4, 6, 7]
    with pytest.raises(MemoryConfigError, match="memory_frames 3: expected at least 4, since the frames of 3 given"):
        result_of(session)
    session.take_back(2)
    result_of(session)
    np.testing.assert_array_equal(session.labels(5), locked)
