"""The lab's replay keeps what evaluations keep; nothing beats its bound; measures by hand."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch

from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.synthetic import make_davis
from inference import VideoSegmenter, build_memory
from inference.lab import contestant as measures
from inference.lab import reference
from inference.lab.clairvoyant import retained_bound
from inference.lab.correlation import spearman
from inference.lab.keys import VideoKeys, cell_shares, encode_video
from inference.lab.lookup_bank import LabBank, SharedReads
from inference.lab.replay import CLAIRVOYANT, DEFAULT_ROWS, QUALITY_ROWS, ROWS, UNBOUNDED, LabOptions, Replay
from inference.memory import Admission, MemoryOptions
from inference.views import View, ViewSegmenter
from model.cells import cell_owners, owners
from model.grouped_search import match
from model.matching import dense_weights
from tests.test_memory import random_quality

pytestmark = pytest.mark.usefixtures("one_thread")
CELLS, KEY = (3, 4), 8
HW = CELLS[0] * CELLS[1]


def video(frames=25, seed=0, objects=1, drift=0.4):
    """Keys of a random walk, so that near frames are alike; shares of random objects."""
    generator = torch.Generator().manual_seed(seed)
    steps = drift * torch.randn(frames, KEY, *CELLS, generator=generator)
    steps[0] = torch.randn(KEY, *CELLS, generator=generator)
    shares = torch.rand(frames, objects + 1, *CELLS, generator=generator).mul(4).softmax(1)[:, 1:]
    quality = np.stack([recorded(random_quality(objects, 100 * seed + now)) for now in range(frames)])
    keys, shares = (array.numpy().astype(np.float16) for array in (steps.cumsum(0), shares))
    return VideoKeys(f"video-{seed}", keys, shares, quality)


def recorded(quality):
    """As a file of keys has it, [3, objects]."""
    return torch.stack([quality.area, quality.confidence, quality.box_share]).numpy()


def options(rows=DEFAULT_ROWS, capacities=(1, 2, 4), every=2, top_k=4):
    return LabOptions(tuple(rows), capacities, MemoryOptions(memory_every=every, top_k=top_k))


def drive(bank, keys, every, reads=None):
    """As `VideoSegmenter` does; yields the read-outs."""
    last = None
    for now, key in enumerate(keys):
        if reads is not None:
            reads.begin(now)
        readout = bank.read(key, now) if now else None
        admission = bank.admit(key, last is None or now - last >= every, now == 0, random_quality(1, now))
        if admission is not Admission.SKIP:
            bank.write(key, key[None, :1], now, admission)
            last = now if admission is Admission.STORE else last
        yield readout


def survivors(bank):
    return sorted(zip(bank.entries.written.tolist(), bank.entries.cell.tolist(), strict=True))


@functools.cache
def cells_of_video():
    """[frames, C, h, w] and [frames, cells, C]"""
    keys = torch.from_numpy(video().keys).float()
    return keys, keys.flatten(2).transpose(1, 2)


@functools.cache
def lists(depth):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "_DEPTH", depth)
        return reference.Reference(cells_of_video()[1], 2, 4)


@functools.lru_cache(maxsize=1)
def driven(row, frames):
    """A plain bank at the end of the video, and its read-outs."""
    bank = next(bank for bank in options((row,), (frames,)).banks(row))
    return bank, list(drive(bank, cells_of_video()[0], 2))


@pytest.mark.parametrize("depth", [6, pytest.param(512, marks=pytest.mark.slow)])     # 6: most lists end too early
@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("row", [*DEFAULT_ROWS, "first_and_latest"])
def test_a_shared_read_equals_the_plain_match_and_keeps_the_same_entries(row, frames, depth):
    keys, reads = cells_of_video()[0], SharedReads(lists(depth))
    if row == "strided" and frames == 1:
        assert options((row,), (frames,)).banks(row) == []       # it needs two
        return
    plain, readouts = driven(row, frames)
    lab = LabBank(next(bank for bank in options((row,), (frames,)).banks(row)), reads)
    for expected, found in zip(readouts, drive(lab, keys, 2, reads), strict=True):
        if expected is not None:
            size = int(max(expected.matches.indices.max(), found.matches.indices.max())) + 1
            weights = [dense_weights(readout.matches, size) for readout in (expected, found)]
            torch.testing.assert_close(*weights, atol=1e-5, rtol=0)
            torch.testing.assert_close(expected.values, found.values)
    assert survivors(plain) == survivors(lab)
    assert torch.equal(plain.entries.keys, lab.entries.keys)


def test_nearest_ranks_what_match_ranks():
    generator = torch.Generator().manual_seed(0)
    memory, query = (torch.randn(n, KEY, generator=generator) for n in (300, 150))
    similarities, indices = reference.nearest(memory, query, 20)
    expected = match(memory, query, 20)[0]
    assert torch.equal(indices, expected.indices)
    torch.testing.assert_close(similarities.softmax(1), expected.weights)


@pytest.mark.parametrize("width", [20, 150, 1000, 7000])
@pytest.mark.parametrize("k", [1, 20])
def test_the_largest_numbers_are_those_of_torch(k, width):
    rows = torch.randn(3, width, generator=torch.Generator().manual_seed(width)) - 0.5
    rows[1].neg_().abs_()                                # positive numbers alone, negative ones alone
    rows[2].abs_().neg_()
    values, columns = reference._largest(rows.numpy(), k)
    expected = rows.topk(k, dim=1)
    assert np.array_equal(values, expected.values)
    assert np.array_equal(columns, expected.indices)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"val": 2}, frames=14, size=(50, 70), progress=False)
    return root


@pytest.fixture(scope="module")
def replayed(root, prepared_network):
    """A lab's replay of a clip, with keys in fp32, as the segmenter below has them."""
    segmenter = VideoSegmenter(prepared_network, build_memory("every_k"))
    sequence = davis_sequences(root)[0]
    keys = encode_video(sequence, segmenter, dtype=np.float32)
    replay = Replay(keys, options([row for row in DEFAULT_ROWS if row not in QUALITY_ROWS], (2, 3)))
    replay.run()
    return sequence, keys, {(one.row, one.bank.frames): one.bank for one in replay.contestants}


@pytest.mark.parametrize("row", [
    row if row in ("lfu", "recover") else pytest.param(row, marks=pytest.mark.slow) for row in DEFAULT_ROWS
])
def test_the_lab_keeps_entry_by_entry_what_an_evaluation_keeps(row, replayed, prepared_network):
    """If it is told the same quality of masks."""
    sequence, keys, banks = replayed
    policy, more = ROWS[row]
    for frames in (2, 3):
        memory, told = build_memory(policy, frames, 4, **more), []
        memory.watched = row in QUALITY_ROWS
        segmenter = VideoSegmenter(prepared_network, memory, memory_every=2)
        for frame in sequence:
            segmenter.step(frame.image, frame.annotation)
            told += [recorded(memory.quality)] if memory.watched else []
        if told:
            replay = Replay(replace(keys, quality=np.stack(told)), options((row,), (frames,)))
            replay.run()
            banks = {(one.row, one.bank.frames): one.bank for one in replay.contestants}
        assert survivors(memory) == survivors(banks[row, frames])


def test_keys_are_the_same_with_the_quality_of_masks_which_is_that_of_the_unbounded_bank(root, prepared_network):
    sequence = davis_sequences(root)[1]
    plain, full = (
        encode_video(sequence, VideoSegmenter(prepared_network, build_memory("every_k")), 40, with_quality=quality)
        for quality in (False, True)
    )
    assert np.array_equal(plain.keys, full.keys)
    assert np.array_equal(plain.shares, full.shares)
    assert plain.quality is None
    segmenter = ViewSegmenter([VideoSegmenter(prepared_network, build_memory("every_k"))], (View(40),))
    segmenter.segmenters[0].memory.watched = True
    for frame, expected in zip(sequence, full.quality, strict=True):
        segmenter.step(frame.image, frame.annotation)
        assert np.array_equal(recorded(segmenter.segmenters[0].memory.quality), expected)


def test_a_row_that_needs_the_quality_of_masks_says_so_if_it_was_not_recorded():
    with pytest.raises(DatasetError, match="video-0: expected keys with the quality of the masks for qdmn, dam, "):
        Replay(replace(video(5), quality=None), options(("lfu", "qdmn", "dam")))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "drift"), [(0, 0.1), (1, 0.4), (2, 1.0)])
def test_no_policy_beats_the_bound_and_the_clairvoyant_one_beats_them_in_sum(seed, drift):
    results = Replay(video(seed=seed, drift=drift), options((*DEFAULT_ROWS, "first_and_latest"), (1, 2, 3, 5))).run()
    retained = {}
    for result in results:
        if result.bound is not None:
            assert result.outcome.retained_mass <= result.bound + 1e-6, (result.policy, result.memory_frames)
            retained.setdefault(result.policy, []).append(result.outcome.retained_mass)
    best = max(sum(values) for policy, values in retained.items() if policy not in ("bound", CLAIRVOYANT))
    assert best <= sum(retained[CLAIRVOYANT]) < sum(retained["bound"])
    unbounded = next(result.outcome for result in results if result.policy == UNBOUNDED)
    assert (unbounded.retained_mass, unbounded.agreement) == (pytest.approx(1), 1)


def test_the_bound_equals_its_definition_frame_by_frame():
    keys = torch.from_numpy(video(11).keys).float().flatten(2).transpose(1, 2)
    every, frames = 2, 2
    known = reference.Reference(keys, every, 4)
    total = 0.0
    for start in range(0, 11, every):
        mass = torch.zeros(11 * HW)
        for now in range(start + 1, min(start + every, 10) + 1):
            written = keys[: start + 1 : every].flatten(0, 1)
            mass[: len(written)] += dense_weights(match(written, keys[now], 4)[0], len(written)).sum(0)
        total += mass.topk(frames * HW).values.sum().item()
    assert retained_bound(known, frames) == pytest.approx(total / (10 * HW))
    assert retained_bound(known, 6) == pytest.approx(1)


def test_measures_by_hand():
    labels, others = torch.tensor([[[0.75, 0.25]], [[0.25, 0.0]]]), torch.tensor([[[0.5, 0.25]], [[0.25, 0.5]]])
    assert measures.agreement(labels, others) == 1 - (0.25 + 0.5) / 2
    assert measures.agreement(labels[:1], others[:1]) == 1 - 0.25 / 2
    assert measures.most_likely(labels).tolist() == [[1, 0]]
    assert measures.stride_j(torch.tensor([[1, 2]]), labels) == 0.5
    ages = measures.shares_by_age(torch.tensor([0, 10, 20]), torch.tensor([1, 1, 2]), now=25)
    assert ages.tolist() == [0.5, 0, 0.25, 0.25, 0, 0]


def test_masks_at_cell_resolution_are_those_of_the_padded_frame():
    labels = np.zeros((20, 40), np.uint8)                # padded to 32 x 48: 6 above and below, 4 left and right
    labels[:10, :12] = 1
    assert cell_shares(labels, [1]).tolist() == [[[10 * 12 / 256, 0, 0], [0, 0, 0]]]
    shares = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(0))
    pixels = shares.repeat_interleave(16, 1).repeat_interleave(16, 2)
    assert torch.equal(cell_owners(shares), owners(pixels))


def test_spearman_by_hand_and_with_ties():
    assert spearman([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
