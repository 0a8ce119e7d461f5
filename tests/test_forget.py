"""Forgetting an object: the others keep their values, rights and reads to the bit, and its memory is given back."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.memory import POLICIES, Admission
from inference.quality import FrameQuality
from inference.telemetry.recorder import Ledger
from model import STCN
from tests.fixtures import TINY
from tests.test_telemetry import HandKept

GRID, KEY, VALUE = (3, 4), 8, 6
EVERY_POLICY = sorted(POLICIES)


class Video:
    """Drives a bank as a segmenter does, with objects by name. Keys and each object's values and cells are functions of
    the frame, so that an object can be left out and nothing else changes."""

    def __init__(self, bank, appears, given=None, still=True):
        """appears: name -> its first frame. given: the annotated frames (default: those in which an object appears).
        still: whether a part of the scene never changes, so that a bank may blend its entries."""
        self.bank, self.appears, self.known, self.still = bank, appears, [], still
        self.given, self.last = set(appears.values()) if given is None else given, None

    def step(self, now):
        """The readout of each known object, by name."""
        key = draw(99, now, KEY)
        if self.still:
            key = key.clone()
            key[:, 0] = draw(99, 0, KEY)[:, 0] * (1 + 0.01 * now)
        values = self.bank.read(key, now).values if self.known else []
        readouts = dict(zip(self.known, values, strict=True))
        self.known += [name for name, first in self.appears.items() if first == now]
        if self.known:
            due, quality = self.last is None or now - self.last >= 2, self.quality(now)
            admission = self.bank.admit(key, due, now in self.given, quality)
            if admission is not Admission.SKIP:
                values = torch.stack([draw(name, now, VALUE) for name in self.known])
                self.bank.write(key, values, now, admission, self.owner())
                self.last = now if admission is Admission.STORE else self.last
        return readouts

    def quality(self, now):
        """The same for all objects, so that what is stored does not depend on one of them; some are empty later on."""
        area, confidence, box = draw(98, now, 1)[0, 0, :3, None].expand(3, len(self.known))
        return FrameQuality((area + (3 if now < 10 else 0.5)).clamp(min=0), confidence.sigmoid(), box.sigmoid())

    def owner(self):
        """Object `name` shows in the left part of row `name`."""
        owner = torch.zeros(GRID, dtype=torch.int64)
        for place, name in enumerate(self.known):
            owner[name, :2] = 1 + place
        return owner

    def forget(self, name):
        self.bank.forget(self.known.index(name))
        self.known.remove(name)
        del self.appears[name]


@functools.cache
def draw(what, now, channels):
    return torch.randn(channels, *GRID, generator=torch.Generator().manual_seed(1000 * what + now))


def sizes(bank):
    return bank.bytes_held, bank.bytes_allocated


def assert_same(one, other, readouts, expected):
    """Two banks hold and read the same, bit for bit."""
    assert readouts.keys() == expected.keys()
    assert all(torch.equal(readouts[name], expected[name]) for name in expected)
    if other.bank.empty:
        assert one.bank.empty
        return
    ours, theirs = one.bank.entries, other.bank.entries
    assert (ours.held, ours.temporary, ours.since) == (theirs.held, theirs.temporary, theirs.since)
    for name in ours.buffers:
        assert torch.equal(ours.buffers[name][: ours.visible], theirs.buffers[name][: theirs.visible]), name
    for obj in range(theirs.objects):
        known = theirs.has_value(obj)
        assert torch.equal(ours.values(obj)[known], theirs.values(obj)[known])


# novelty protects the cells of an object, so what it evicted before depends on the object: 6 frames evict nothing
@pytest.mark.parametrize(("memory", "frames"), [
    *((memory, 6) for memory in EVERY_POLICY), *((memory, 3) for memory in EVERY_POLICY if memory != "novelty"),
])
@pytest.mark.parametrize("appears", [0, 4])
@pytest.mark.parametrize("include_last", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_bank_that_forgot_an_object_is_one_that_never_knew_it(memory, frames, appears, include_last):
    banks = [build_memory(memory, frames, 4, include_last=include_last, seed=1) for _ in "12"]
    forgot, never = Video(banks[0], {0: 0, 1: appears, 2: 6}), Video(banks[1], {0: 0, 2: 6}, {0, appears, 6})
    for now in range(24):
        readouts, expected = forgot.step(now), never.step(now)
        readouts.pop(1, None)
        if now == 9:
            before = sizes(banks[0])
            forgot.forget(1)
            assert before > sizes(banks[0]) == sizes(banks[1])
        if now >= 9 or memory != "novelty":
            assert all(torch.equal(readouts[name], expected[name]) for name in expected)
        if now >= 9:
            assert_same(forgot, never, readouts, expected)


@pytest.mark.parametrize("frames", [6, None])
@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_without_its_first_object_a_bank_begins_where_the_second_appeared(memory, frames):
    frames = frames or (build_memory(memory).frames and 20)
    banks = [build_memory(memory, frames, 4, protect_first=True) for _ in "12"]
    forgot, never = Video(banks[0], {0: 0, 1: 4}, still=False), Video(banks[1], {1: 4}, still=False)
    for now in range(24):
        readouts, expected = forgot.step(now), never.step(now)
        if now == 4:
            readouts = {}
            forgot.forget(0)
            assert banks[0].bytes_allocated <= banks[1].bytes_allocated
        if now >= 4:
            assert banks[0].entries.first_write == 4
            assert_same(forgot, never, readouts, expected)


@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_without_its_last_object_a_bank_is_a_new_one(memory):
    banks = [build_memory(memory, 3, 4, seed=2) for _ in "12"]
    forgot, never = Video(banks[0], {0: 0, 1: 2}), Video(banks[1], {2: 12})
    for now in range(24):
        readouts, expected = forgot.step(now), never.step(now)
        if now == 9:
            forgot.forget(1)
            forgot.forget(0)
            assert banks[0].bytes_held == banks[0].bytes_allocated == 0
            forgot.appears, forgot.given, forgot.last = {2: 12}, {12}, None
        if now > 9:
            assert_same(forgot, never, readouts, expected)
    with pytest.raises(ValueError, match="expected one of the 1 objects that the bank knows, found object 1"):
        banks[0].forget(1)


@pytest.mark.parametrize("memory", ["every_k", "lfu", "afb", "first_and_latest"])
def test_telemetry_follows_entries_that_move(memory):
    video = Video(build_memory(memory, 4, 4), {0: 0, 1: 3})
    hand, ledger = HandKept(video.bank), Ledger()
    video.bank.observer = lambda matches: (hand.reads(matches), ledger.count(matches, 0))
    evictions = []
    for now in range(16):
        video.step(now)
        if now == 4:
            video.forget(0)
        line = hand.line(now)
        evictions.append(len(ledger.follow(video.bank.entries)))
        assert evictions[-1] == line["evicted"]
        uses = zip(hand.contents(), ledger.rows["uses"].tolist(), strict=True)
        assert all(count == hand.uses[entry] for entry, count in uses)
    assert evictions[4] > 0


@pytest.fixture(scope="module")
def clip():
    clip = SyntheticClip(seed=1, size=(50, 71), length=8, objects=2)
    return [clip.frame(t) for t in range(8)]


def _segmenter(network, memory="lfu", **options):
    return VideoSegmenter(network, build_memory(memory, 3, top_k=5), 2, **options)


@pytest.mark.parametrize("decode", ["full", "window"])
def test_an_object_that_met_no_other_is_segmented_as_if_it_were_alone(clip, decode):
    """With one mask channel, a value depends on the mask of its object alone, and frame 0 is given."""
    torch.manual_seed(0)
    network = STCN(replace(TINY, mask_channels=1)).eval()
    both, alone = (_segmenter(network, decode=decode, objects_at_once=1) for _ in "12")
    for t, (frame, labels) in enumerate(clip):
        ours = both.step(frame, labels if t == 0 else None)
        expected = alone.step(frame, labels * (labels == 1) if t == 0 else None)
        if t == 0:
            both.forget(2)
        else:
            assert torch.equal(ours, expected)
            assert (both.labels(ours) == 1).any()
    assert both.memory.bytes_allocated == alone.memory.bytes_allocated


@pytest.mark.parametrize("number", [7, 200])
def test_the_others_are_read_to_the_bit_as_before(prepared_network, clip, number):
    segmenter = _segmenter(prepared_network)
    numbers = np.array([0, 200, 7], np.uint8)
    for t, (frame, labels) in enumerate(clip[:5]):
        segmenter.step(frame, numbers[labels] if t == 0 else None)
    segmenter.freeze()                                   # a read would count otherwise
    key = segmenter.encode(clip[5][0]).features.key[0]
    before = dict(zip(segmenter.table.parts, segmenter.memory.read(key, 5).values, strict=True))
    held = segmenter.memory.bytes_held
    segmenter.forget(number)
    left = segmenter.objects
    assert left == [each for each in (7, 200) if each != number]
    assert torch.equal(segmenter.memory.read(key, 5).values[0], before[left[0]])
    assert segmenter.memory.bytes_held < held
    assert segmenter.step(clip[5][0]).shape == (2, 50, 71)


def test_a_forgotten_object_can_be_given_again_and_is_new(prepared_network, clip, tmp_path):
    segmenter = _segmenter(prepared_network)
    for t, (frame, labels) in enumerate(clip[:3]):
        last = segmenter.step(frame, labels if t == 0 else None)
    segmenter.forget(1)
    assert set(np.unique(segmenter.labels(last))) <= {0, 1, 2}        # of the frame before
    with pytest.raises(ValueError, match=r"frame 3: expected one of the objects \[2\], found 1"):
        segmenter.forget(1)
    segmenter.forget(2)
    assert segmenter.memory.empty
    assert segmenter.step(clip[3][0]).tolist() == torch.ones(1, 50, 71).tolist()
    assert not segmenter.labels(segmenter.step(clip[4][0])).any()
    frame, labels = clip[5]
    assert np.array_equal(segmenter.labels(segmenter.step(frame, labels * (labels == 1))), labels * (labels == 1))
    assert segmenter.memory.entries.since == [5]
    segmenter.forget(1)
    segmenter.freeze()
    with pytest.raises(ValueError, match=r"frame 6: .*the frozen bank knows, \[\], found \[1, 2\]"):
        segmenter.step(*clip[6])


@pytest.mark.parametrize("decode", ["full", "window"])
def test_a_segmenter_that_forgot_is_saved_and_loaded(prepared_network, clip, tmp_path, decode):
    segmenter, loaded = (_segmenter(prepared_network, decode=decode) for _ in "12")
    for t, (frame, labels) in enumerate(clip[:4]):
        segmenter.step(frame, {0: labels * (labels == 1), 2: labels}.get(t))
    segmenter.forget(1)
    segmenter.save(tmp_path / "state.pth")
    loaded.load(tmp_path / "state.pth")
    assert loaded.objects == [2]
    for frame, _ in clip[4:]:
        assert torch.equal(segmenter.step(frame), loaded.step(frame))
