"""Each bank of the literature follows its rule, on streams that an eye can check."""

import pytest
import torch

from inference.memory import Admission, build_memory
from inference.memory.blending import blend
from inference.memory.entries import Entries
from inference.memory.merging import PublishedFeatureBank
from inference.quality import FrameQuality, box_shares, frame_quality
from model.matching import TopK

GRID, HW = (1, 2), 2
GOOD, FAIR, BAD, GONE = (100, 0.95), (100, 0.7), (100, 0.3), (0, 0.1)         # area and confidence of a mask


def quality(*masks, box=1.0):
    area, confidence = zip(*masks, strict=True)
    return FrameQuality(torch.tensor(area).float(), torch.tensor(confidence), torch.full((len(masks),), box))


def play(memory, frames, video, keys=None, every=1, given=(0,)):
    """What is held after each frame of a video, whose frames are qualities, or those of one mask each."""
    bank, last, held = build_memory(memory, frames, top_k=2, memory_every=every), None, []
    for now, each in enumerate(video):
        told = each if isinstance(each, FrameQuality) else quality(each)
        key = torch.full((2, *GRID), float(now)) if keys is None else torch.tensor(keys[now]).float().view(2, *GRID)
        admission = bank.admit(key, last is None or now - last >= every, now in given, told)
        if admission is not Admission.SKIP:
            bank.write(key, torch.full((len(told.area), 3, *GRID), float(now)), now, admission)
            last = now if admission is Admission.STORE else last
        held.append(sorted(set(bank.entries.sources[0].tolist())))
    return held, bank


def test_quality_fifo_holds_the_first_frame_and_the_latest_good_ones():
    held, _ = play("quality_fifo", 3, [GOOD, FAIR, BAD, GOOD, GONE, GOOD])
    assert held == [[0], [0, 1], [0, 1], [0, 1, 3], [0, 1, 3], [0, 3, 5]]


def test_a_frame_is_as_good_as_its_masks_with_pixels_on_average_and_annotated_ones_are_always_stored():
    video = [quality(*masks) for masks in (
        (GOOD, GOOD), (GOOD, GONE), (GONE, GONE), ((1, 0.6), (1, 0.3)), (BAD, BAD))]
    held, bank = play("quality_fifo", 9, video, given=(0, 4))
    assert held[-1] == [0, 1, 4]
    assert [round(each, 2) for each in bank.entries.quality.overall[::HW].tolist()] == [0.95, 0.95, 0.3]
    assert bank.entries.quality.empty[::HW].tolist() == [[False, False], [False, True], [False, False]]


@pytest.mark.parametrize(("memory", "bad"), [("quality_fifo", BAD), ("qdmn", FAIR), ("dam", GONE)])
def test_after_a_frame_that_is_not_good_the_next_one_is_tried_an_interval_later(memory, bad):
    held, _ = play(memory, 9, [GOOD, GOOD, GOOD, bad, GOOD, GOOD, bad, GOOD, bad, GOOD, GOOD, GOOD, GOOD], every=3)
    assert held[-1] == [0, 9, 12]
    held, _ = play(memory, 9, [GOOD, GOOD, GOOD, bad, *[GOOD] * 6], every=3, given=(0, 4))
    assert held[-1] == [0, 4, 7]                          # an annotation begins a new interval


def test_qdmn_stores_above_its_threshold_and_forgets_low_quality_and_long_ago():
    worse = (100, 0.82)
    # at 3, frame 1 has 0.82 + exp(-2) = 0.96 and 2 has 0.95 + exp(-1) = 1.32
    # at 5, frame 2 has 0.95 + exp(-3) = 1.00 and 3 has 0.82 + exp(-2) = 0.96
    held, _ = play("qdmn", 3, [GOOD, worse, GOOD, worse, FAIR, GOOD])
    assert held == [[0], [0, 1], [0, 1, 2], [0, 2, 3], [0, 2, 3], [0, 2, 5]]
    # at 4, frame 2 has 0.95 + exp(-2) = 1.09 and 3 has 0.82 + exp(-1) = 1.19
    assert play("qdmn", 3, [GOOD, worse, GOOD, worse, GOOD])[0][-1] == [0, 3, 4]


def test_recover_keeps_the_latest_good_frames_when_an_object_is_empty_for_the_first_time():
    video = [GOOD, GOOD, BAD, FAIR, GONE, GONE, GONE, GONE, GOOD, GONE, GOOD]
    held, _ = play("recover", 4, video)
    assert held[3] == [0, 1, 2, 3]
    assert held[4:8] == [[0, 1, 3, 4], [0, 1, 3, 5], [0, 1, 3, 6], [0, 1, 3, 7]]
    assert held[-1] == [0, 1, 3, 10]                      # the second absence changes nothing


def test_recover_sees_an_object_disappear_between_two_writes_and_knows_its_objects_apart():
    video = [quality(GOOD), quality(GOOD), quality(GOOD), quality(GONE), quality(GOOD, GOOD), quality(GOOD, GOOD),
             quality(GOOD, GONE), *[quality(GOOD, GOOD)] * 4]
    held, bank = play("recover", 5, video, every=2, given=(0, 4))
    assert held[-1] == [0, 2, 4, 8, 10]
    assert bank.policy.lost.tolist() == [True, True]


def test_at_two_frames_recover_is_fifo():
    video = [GOOD, GOOD, GONE, GOOD, GONE, GOOD]
    assert play("recover", 2, video)[0] == play("fifo", 2, video)[0]


def test_dam_keeps_frames_in_which_a_distractor_was_told_apart_and_no_empty_ones():
    rival = quality(GOOD, box=0.5)
    held, _ = play("dam", 4, [GOOD, rival, GOOD, GONE, GOOD, GOOD, GOOD])
    assert held == [[0], [0, 1], [0, 1, 2], [0, 1, 2], [0, 1, 2, 4], [0, 1, 4, 5], [0, 1, 5, 6]]
    assert play("dam", 4, [GOOD] * 6)[0][-1] == [0, 3, 4, 5]


@pytest.mark.parametrize("mask", [
    quality((100, 0.7), box=0.5), quality((130, 0.95), box=0.5), quality(GOOD, box=0.9),
], ids=["not sure", "another area", "no distractor"])
def test_what_is_no_anchor_of_dam(mask):
    assert play("dam", 4, [GOOD, GOOD, mask, *[GOOD] * 4])[0][-1] == [0, 4, 5, 6]


def test_anchors_of_dam_leave_oldest_first_and_given_masks_are_anchors():
    rival = quality(GOOD, box=0.5)
    assert play("dam", 4, [GOOD, rival, GOOD, rival, GOOD, GOOD, GOOD])[0][-1] == [0, 3, 5, 6]
    assert play("dam", 4, [GOOD, GOOD, GOOD, GOOD, GOOD, GOOD], given=(0, 2))[0][-1] == [0, 2, 4, 5]


def test_strided_holds_every_kth_frame_and_the_previous_one():
    held, _ = play("strided", 4, [GOOD] * 9, every=2)
    assert held == [[0], [0, 1], [0, 2], [0, 2, 3], [0, 2, 4], [0, 2, 4, 5], [0, 4, 6], [0, 4, 6, 7], [0, 6, 8]]
    assert play("strided", 2, [GOOD] * 5, every=2)[0] == [[0], [0, 1], [0, 2], [0, 3], [0, 4]]


def test_oldest_kept_replaces_the_newest():
    assert play("oldest_kept", 3, [GOOD] * 6)[0][2:] == [[0, 1, 2], [0, 1, 3], [0, 1, 4], [0, 1, 5]]


def test_prune_similar_forgets_the_frame_that_resembles_the_new_one():
    right, up, left = [1, 1, 0, 0], [0, 0, 1, 1], [-1, -1, 0, 0]
    held, _ = play("prune_similar", 4, [GOOD] * 5, [right, up, left, [0, 0.1, 1, 1], [-1, -1, 0.1, 0]])
    assert held[3:] == [[0, 1, 2, 3], [0, 1, 3, 4]]       # 4 is like 2
    held, _ = play("prune_similar", 3, [GOOD] * 4, [right, up, left, right])
    assert held[-1] == [0, 2, 3]                          # the first frame stays, although it is the same


def test_merge_similar_averages_neighbors_in_time_in_each_cell():
    # keys [2 channels x 2 cells]: the first cell changes after frame 1, the second one after frame 0
    keys = [[1, 1, 0, 0], [3, 0, 0, 2], [0, 0, 5, 4], [0, 0, 7, 8], [9, 9, 9, 9]]
    held, bank = play("merge_similar", 3, [GOOD] * 4, keys)
    assert held[2] == [0, 1, 2]
    entries = bank.entries
    found = {(w, c): (k, v) for w, c, k, v in zip(
        entries.written.tolist(), entries.cell.tolist(), entries.keys.tolist(), entries.values(0)[:, 0].tolist(),
        strict=True)}
    assert found == {
        (1, 0): ([2, 0], 0.5), (2, 0): ([0, 5], 2), (3, 0): ([0, 7], 3),       # the first cell: 0 and 1 became one
        (0, 1): ([1, 0], 0), (2, 1): ([0, 3], 1.5), (3, 1): ([0, 8], 3),       # the second one: 1 and 2
    }
    keys = [[1, 1, 0, 0], [3, 3, 0, 0], [8, 8, 0, 0], [0, 0, 1, 1], [0, 0, -1, -1]]
    entries = play("merge_similar", 3, [GOOD] * 5, keys)[1].entries
    assert entries.keys[entries.written == 2].tolist() == [[4, 0], [4, 0]]     # the mean of 1, 3 and 8


def test_afb_as_published_blends_directions_and_counts_what_has_weight():
    entries = Entries(2, torch.zeros(2, 2), torch.zeros(1, 2, 2))
    entries.write(torch.arange(2), torch.tensor([[10.0, 0], [0, 1]]), torch.tensor([[[2.0, 0], [0, 1]]]), now=0)
    entries.held = 2
    blend(entries, torch.tensor([0]), torch.tensor([[0.0, 3]]), torch.tensor([[[0.0, 5]]]), 0.9, directions=True)
    direction = torch.tensor([0.9, 0.1]) / torch.tensor([0.9, 0.1]).norm()
    torch.testing.assert_close(entries.keys, torch.stack([10 * direction, torch.tensor([0.0, 1])]))
    torch.testing.assert_close(entries.values(0)[0], 2 * direction)
    weights = torch.tensor([[0.9995, 0.0005], [0.5, 0.5], [0.6, 0.4]])
    PublishedFeatureBank().use(entries, TopK(torch.tensor([[0, 1]] * 3), weights), now=1)
    torch.testing.assert_close(entries.usage, torch.tensor([3.0, 2.0]).double().log1p())


def test_a_box_is_shared_with_what_else_may_be_the_object():
    masks = torch.zeros(3, 6, 10)
    masks[1, 1:3, 1:4] = 0.9                             # a box of 2 x 3
    masks[2, 0, 0] = 0.95                                # a pixel
    masks[0] = 1 - masks[1] - masks[2]
    assert box_shares(masks).tolist() == [1, 1]
    masks[1, 4, 8] = 0.2                                 # the box around both is 4 x 8
    masks[2, 5, 9] = 0.05                                # less than 0.1
    assert box_shares(masks).tolist() == pytest.approx([6 / 32, 1])
    assert box_shares(torch.stack([torch.ones(6, 10), torch.full((6, 10), 0.2)])).tolist() == [0]
    assert box_shares(torch.ones(1, 6, 10)).shape == (0,)
    assert frame_quality(masks).area.tolist() == [6, 1]


@pytest.mark.parametrize("memory", ["qdmn", "quality_fifo", "recover", "dam"])
def test_a_bank_says_that_it_was_not_told_the_quality(memory):
    bank = build_memory(memory)
    with pytest.raises(ValueError, match=f"memory {memory}: expected the quality of the frame's masks"):
        bank.admit(torch.zeros(2, *GRID), True, True)


def test_other_banks_hold_no_quality():
    _, bank = play("lfu", 2, [GOOD, BAD])
    assert "quality" not in bank.entries.buffers
    assert not bank.wants_quality
