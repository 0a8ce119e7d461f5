"""The memory banks do what docs/METHOD.md says, on random streams and by hand."""

import functools

import pytest
import torch

from inference import build_memory
from inference.memory import Admission, MemoryConfigError
from inference.memory.entries import Entries
from inference.memory.policies import LeastFrequentlyUsed
from inference.quality import FrameQuality
from model.matching import dense_weights, similarity, top_k_affinity

CELLS, KEY, VALUE = (3, 4), 8, 6
HW = CELLS[0] * CELLS[1]


@functools.cache
def random_quality(objects, seed):
    """Of a frame whose masks are good, bad or empty."""
    draw = torch.rand(3, objects, generator=torch.Generator().manual_seed(seed))
    return FrameQuality((100 * draw[0] - 20).clamp(min=0), draw[1].sqrt(), draw[2])


def stream(bank, frames, seed=0, every=2, late=None):
    """Drive a bank as the segmenter does: read, then write if the frame is wanted; object 2 appears at `late`."""
    generator = torch.Generator().manual_seed(seed)
    last, objects = None, 1
    for now in range(frames):
        key = torch.randn(KEY, *CELLS, generator=generator)
        readout = None if bank.empty else bank.read(key, now)
        objects += now == late
        annotated = now in (0, late)
        quality = random_quality(objects, 1000 * seed + now)
        admission = bank.admit(key, last is None or now - last >= every, annotated, quality)
        if admission is not Admission.SKIP:
            bank.write(key, torch.randn(objects, VALUE, *CELLS, generator=generator), now, admission)
            last = now if admission is Admission.STORE else last
        yield now, key, readout


def held_writes(bank):
    return sorted(set(bank.entries.written.tolist()))


@pytest.mark.parametrize("name", ["every_k", "first_and_latest", "lfu"])
@pytest.mark.parametrize("include_last", [False, True])
@pytest.mark.parametrize("protect_first", [False, True])
@pytest.mark.parametrize("late", [None, 3])
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_capacity_is_never_exceeded(name, include_last, protect_first, late, frames):
    try:
        bank = build_memory(name, frames, 4, include_last=include_last, protect_first=protect_first)
    except MemoryConfigError:
        assert frames < 3      # too small for what must be held beside the rest
        return
    for _ in stream(bank, 20, late=late):
        assert bank.entries.visible <= frames * HW
        assert bank.entries.rows == frames * HW            # allocated once
        assert bank.bytes_held <= bank.bytes_allocated


def test_every_k_keeps_every_memory_frame_and_grows_by_doubling():
    bank = build_memory("every_k")
    for now, _, _ in stream(bank, 40):
        assert held_writes(bank) == list(range(0, now + 1, 2))
    assert bank.frames_held == 20
    assert bank.entries.rows == 32 * HW


def test_bounded_every_k_forgets_the_oldest_unprotected():
    assert _end("every_k", 3, 11) == [6, 8, 10]
    assert _end("every_k", 3, 11, protect_first=True) == [0, 8, 10]


def test_first_and_latest_holds_annotated_frames_and_the_previous_one():
    bank = build_memory("first_and_latest")
    for now, _, _ in stream(bank, 9, late=3):
        assert held_writes(bank) == ([0] if now < 3 else [0, 3])
        assert bank.entries.buffers["written"][bank.entries.held : bank.entries.visible].unique().tolist() == (
            [] if now in (0, 3) else [now]
        )


def test_include_last_is_replaced_never_scored_and_takes_one_frame_of_the_capacity():
    bank = build_memory("lfu", 3, include_last=True)
    for now, _, _ in stream(bank, 12, every=3):
        assert bank.entries.held <= 2 * HW
        assert bank.entries.temporary == (0 if now % 3 == 0 else HW)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("index", ["topk", "softmax"])
def test_lfu_equals_a_brute_force_ledger(seed, index):
    """Usage over age, lowest first, older write first among equals, then raster order; exactly as many as needed."""
    bank = build_memory("lfu", 2, top_k=4, index=index)
    ledger: dict[tuple[int, int], dict] = {}        # (written, cell) -> key and usage
    for now, key, _ in stream(bank, 15, seed=seed, every=3):
        if ledger:
            names = list(ledger)
            keys = torch.stack([ledger[name]["key"] for name in names])
            matches = top_k_affinity(similarity(keys, key.flatten(1).T), 4)
            used = dense_weights(matches, len(names))
            used = (used > 0).double() if index == "topk" else used.double()
            for name, amount in zip(names, used.sum(0).tolist(), strict=True):
                ledger[name]["usage"] += amount
        if now % 3 == 0:
            if len(ledger) == 2 * HW:
                worth = {name: entry["usage"] / max(1, now - name[0]) for name, entry in ledger.items()}
                for name in sorted(ledger, key=lambda name: (worth[name], name))[:HW]:
                    del ledger[name]
            ledger |= {(now, cell): {"key": key.flatten(1)[:, cell], "usage": 0.0} for cell in range(HW)}
        order = bank.entries.order()
        held = list(zip(bank.entries.written[order].tolist(), bank.entries.cell[order].tolist(), strict=True))
        assert held == sorted(ledger)
        assert bank.entries.usage[order].tolist() == pytest.approx([ledger[name]["usage"] for name in held])


def test_score_is_usage_over_age_in_video_frames():
    entries = Entries(4, torch.zeros(4, KEY), torch.zeros(1, 4, VALUE))
    entries.write(torch.arange(2), torch.zeros(2, KEY), torch.zeros(1, 2, VALUE), now=0)
    entries.write(torch.arange(2, 4), torch.zeros(2, KEY), torch.zeros(1, 2, VALUE), now=10)
    entries.held = 4
    entries.use(torch.tensor([0, 2, 2, 3]), torch.ones(4))
    assert LeastFrequentlyUsed().score(entries, now=10).tolist() == [0.1, 0, 2, 1]     # age is at least 1


def test_the_first_frame_can_be_evicted_unless_protected():
    assert 0 not in _end("lfu", 1, 5)
    bank = build_memory("lfu", 2, protect_first=True)
    for _ in stream(bank, 30):
        assert (bank.entries.written == 0).sum() == HW


@pytest.mark.parametrize("late", [None, 5])
@pytest.mark.parametrize("name", ["every_k", "first_and_latest", "lfu"])
def test_a_read_equals_the_dense_oracle_over_the_entries_with_a_value(name, late):
    bank = build_memory(name, top_k=4)
    previous = None
    for _, key, readout in stream(bank, 14, seed=3, late=late):
        if previous is not None:
            keys, values, known = previous
            for obj in range(len(values)):
                own = known > obj
                matches = top_k_affinity(similarity(keys[own], key.flatten(1).T), 4)
                expected = dense_weights(matches, int(own.sum())) @ values[obj][own]
                torch.testing.assert_close(readout.values[obj].flatten(1).T, expected)
            torch.testing.assert_close(readout.matches.weights.sum(1), torch.ones(HW))
        entries = bank.entries
        previous = (
            entries.keys.clone(), [entries.values(o).clone() for o in range(entries.objects)],
            entries.buffers["known"][: entries.visible].clone(),
        )


def test_fewer_entries_than_top_k():
    bank = build_memory("every_k", top_k=50)
    readouts = [readout for _, _, readout in stream(bank, 2)]
    assert readouts[1].matches.indices.shape == (HW, HW)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "lifo"}, "memory lifo: expected one of "),
        ({"name": "lfu", "frames": 0}, "memory_frames 0: expected at least 1"),
        ({"name": "lfu", "frames": 1, "include_last": True}, "expected at least 2"),
        ({"name": "first_and_latest", "frames": 1}, "expected at least 2"),
        ({"name": "lfu", "index": "age"}, "index age"),
        ({"name": "lfu", "top_k": 0}, "top_k 0"),
    ],
)
def test_contradictory_options_are_refused(options, words):
    with pytest.raises(MemoryConfigError, match=words):
        build_memory(**options)


def _end(name, frames, length, **options):
    bank = build_memory(name, frames, **options)
    for _ in stream(bank, length):
        pass
    return held_writes(bank)
