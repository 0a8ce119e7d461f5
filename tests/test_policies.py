"""Every policy keeps the bank's promises on random streams; each rule by hand or against brute force."""

import math

import pytest
import torch

from inference.memory import POLICIES, MemoryConfigError, build_memory
from inference.memory.entries import Entries
from inference.memory.merging import AdaptiveFeatureBank, Consolidation, largest
from inference.memory.novelty import AnchoredNovelty
from inference.memory.whole_frames import RestrictedMemory
from model.matching import dense_weights, similarity, top_k_affinity
from tests.test_memory import HW, KEY, VALUE, held_writes, stream

EVERY_POLICY = sorted(POLICIES)
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]


@pytest.mark.parametrize("name", EVERY_POLICY)
@pytest.mark.parametrize("include_last", [False, True])
@pytest.mark.parametrize("late", [None, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_capacity_is_hard_and_buffers_are_allocated_once(name, include_last, late, seed):
    frames = 3 + include_last
    bank = build_memory(name, frames, 4, include_last=include_last, seed=seed)
    for now, _, _ in stream(bank, 25, seed=seed, late=late):
        assert bank.entries.visible <= frames * HW
        assert bank.entries.rows == frames * HW
        written, cell = bank.entries.sources
        assert len(set(zip(written.tolist(), cell.tolist(), strict=True))) == bank.entries.visible
        assert int(written.max()) <= now


@pytest.mark.parametrize("name", EVERY_POLICY)
@pytest.mark.parametrize("late", [None, 5])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_read_equals_the_dense_oracle_over_the_entries_held(name, late, seed):
    bank = build_memory(name, 3, top_k=4, seed=seed)
    before = None
    for _, key, readout in stream(bank, 16, seed=seed, late=late):
        for obj, (values, own) in enumerate(before or []):
            keys = before.keys[own]
            matches = top_k_affinity(similarity(keys, key.flatten(1).T), 4)
            expected = dense_weights(matches, len(keys)) @ values[own]
            torch.testing.assert_close(readout.values[obj].flatten(1).T, expected)
        before = _Held(bank.entries)


class _Held(list):
    """(values, which entries have one) of each object, copied, and the keys."""

    def __init__(self, entries: Entries) -> None:
        super().__init__((entries.values(o).clone(), entries.has_value(o)) for o in range(entries.objects))
        self.keys = entries.keys.clone()


@pytest.mark.parametrize("name", EVERY_POLICY)
def test_the_same_seed_and_stream_give_the_same_bank(name):
    first, second = (build_memory(name, 3, 4, seed=7) for _ in range(2))
    for _ in range(2):                                  # the second time after a reset
        for _ in zip(stream(first, 20, late=4), stream(second, 20, late=4), strict=True):
            assert torch.equal(first.entries.written, second.entries.written)
            assert torch.equal(first.entries.keys, second.entries.keys)
            assert torch.equal(first.entries.usage, second.entries.usage)
        second.reset()
        first = build_memory(name, 3, 4, seed=7)


def test_random_draws_depend_on_the_seed():
    assert _survivors("random", seed=1) == _survivors("random", seed=1) != _survivors("random", seed=2)


def test_fifo_keeps_the_first_frame_and_the_latest():
    bank = build_memory("fifo", 3)
    for _ in stream(bank, 21):
        pass
    assert held_writes(bank) == [0, 18, 20]


def test_lru_equals_a_brute_force_ledger():
    bank = build_memory("lru", 2, top_k=4)
    ledger: dict[tuple[int, int], list] = {}           # (written, cell) -> [key, last use]
    for now, key, _ in stream(bank, 21, seed=1, every=3):
        if ledger:
            names = list(ledger)
            matches = top_k_affinity(similarity(torch.stack([ledger[n][0] for n in names]), key.flatten(1).T), 4)
            for index in matches.indices.unique().tolist():
                ledger[names[index]][1] = now
        if now % 3 == 0:
            if len(ledger) == 2 * HW:
                for name in sorted(ledger, key=lambda name: (ledger[name][1], name))[:HW]:
                    del ledger[name]
            ledger |= {(now, cell): [key.flatten(1)[:, cell], now] for cell in range(HW)}
        assert sorted(zip(bank.entries.written.tolist(), bank.entries.cell.tolist(), strict=True)) == sorted(ledger)


def test_the_log_index_adds_the_logarithm_of_each_frames_count():
    bank, counts = build_memory("lfu", 1, top_k=3, index="log"), torch.zeros(HW, dtype=torch.float64)
    for now, _, readout in stream(bank, 6, every=100):
        if now:
            counts += torch.bincount(readout.matches.indices.flatten(), minlength=HW).double().log1p()
    torch.testing.assert_close(bank.entries.usage, counts)


def test_rmem_forgets_whole_frames_with_the_least_attention():
    entries = Entries(3 * HW, torch.zeros(HW, KEY), torch.zeros(1, HW, VALUE))
    for i, now in enumerate((0, 5, 10)):
        rows = torch.arange(i * HW, (i + 1) * HW)
        entries.write(rows, torch.zeros(HW, KEY), torch.zeros(1, HW, VALUE), now)
    entries.held = 3 * HW
    entries.use(torch.arange(HW, 2 * HW), torch.full((HW,), 0.02 / HW))          # frame 5 gets attention
    leaving = RestrictedMemory().evict(entries, HW, now=1000)
    assert set(entries.written[leaving].tolist()) == {10}                          # not 0, the first, though unused
    assert set(entries.written[RestrictedMemory().evict(entries, HW, now=11)].tolist()) == {5}   # 10 is still fresh


def test_readmem_refuses_a_frame_that_adds_no_diversity_and_takes_one_that_does():
    generator = torch.Generator().manual_seed(0)
    one, two, three = torch.randn(3, KEY, 3, 4, generator=generator)
    bank = build_memory("readmem", 2)
    keys = (one, one + 0.1 * two, one + 0.05 * two, three)
    for now, (key, kept) in enumerate(zip(keys, ([0], [0, 1], [0, 1], [0, 3]), strict=True)):
        admission = bank.admit(key, due=True, annotated=now == 0)
        if admission.name == "STORE":
            bank.write(key, torch.zeros(1, VALUE, 3, 4), now, admission)
        assert held_writes(bank) == kept
    assert bank.admit(three, due=True, annotated=True).name == "STORE"             # an annotation is always stored


def test_afb_merges_what_it_knows_and_stores_the_rest():
    entries = Entries(2 * HW, torch.zeros(HW, KEY), torch.zeros(1, HW, VALUE))
    old = torch.eye(HW, KEY)
    entries.write(torch.arange(4), old[:4], torch.ones(1, 4, VALUE), now=0)
    entries.held = 4
    new = torch.cat([old[:2] * 2, old[4:6]])                                       # two alike, two not
    entries.add_objects(2, 5)
    kept = AdaptiveFeatureBank().before_write(entries, new, torch.full((2, 4, VALUE), 6.0))
    assert kept.tolist() == [False, False, True, True]
    torch.testing.assert_close(entries.keys[:2], old[:2] * 1.2)                    # 0.8 * 1 + 0.2 * 2
    torch.testing.assert_close(entries.values(0)[:, 0], torch.tensor([2.0, 2.0, 1.0, 1.0]))
    torch.testing.assert_close(entries.values(1)[:2, 0], torch.tensor([6.0, 6.0]))   # nothing known there before
    assert entries.known.tolist() == [2, 2, 1, 1]


@pytest.mark.parametrize("count", [1, 63, 64, 65, 128, 200])
def test_the_largest_of_a_row_is_its_first_maximum(count):
    rows = torch.randint(9, (40, count), generator=torch.Generator().manual_seed(count)).float()
    for found, expected in zip(largest(rows), rows.max(1), strict=True):
        assert torch.equal(found, expected)
    assert torch.equal(largest(rows)[1], torch.tensor([row.index(max(row)) for row in rows.tolist()]))


def test_consolidation_spreads_the_values_of_what_leaves_once():
    entries = Entries(4, torch.zeros(4, 1), torch.zeros(1, 4, 1))
    keys, values = torch.tensor([0.0, 0, 50, 50]), torch.tensor([1.0, 3, 5, 9])
    entries.write(torch.arange(4), keys[:, None], values[None, :, None], now=0)
    entries.held = 4
    entries.use(torch.tensor([0, 2]), torch.ones(2))
    policy = Consolidation()
    assert sorted(policy.evict(entries, 2, now=1).tolist()) == [1, 3]
    torch.testing.assert_close(entries.values(0)[:, 0], torch.tensor([2.0, 3, 7, 9]))
    policy.evict(entries, 2, now=2)
    torch.testing.assert_close(entries.values(0)[:, 0], torch.tensor([2.0, 3, 7, 9]))


@pytest.mark.parametrize("name", EVERY_POLICY)
def test_a_bank_restored_from_its_state_goes_on_alike(name):
    whole, halved = (build_memory(name, 3, 4, seed=3) for _ in range(2))
    for (now, _, expected), (_, _, readout) in zip(stream(whole, 20, late=3), stream(halved, 20, late=3), strict=True):
        if now == 10:
            state = halved.state()
            halved.reset()
            halved.restore(state, torch.device("cpu"))
        if now:
            assert torch.equal(readout.values, expected.values)
    assert torch.equal(halved.entries.written, whole.entries.written)
    with pytest.raises(MemoryConfigError, match="expected the state of a bank"):
        build_memory(name, 3, top_k=5).restore(state, torch.device("cpu"))


def _survivors(name, **options):
    bank = build_memory(name, 2, 4, **options)
    for _ in stream(bank, 20):
        pass
    return sorted(zip(bank.entries.written.tolist(), bank.entries.cell.tolist(), strict=True))


def test_novelty_keeps_each_objects_annotated_cells():
    generator = torch.Generator().manual_seed(0)
    bank, objects = build_memory("novelty", 2, 4), 1
    owner = torch.zeros(3, 4, dtype=torch.int64)
    owner[0, :2] = 1
    for now in range(0, 40, 2):
        objects += now == 6                       # the second object is annotated in frame 6
        owner[2, 1:] = 2 if objects == 2 else 0
        key = torch.randn(KEY, 3, 4, generator=generator)
        if now:
            bank.read(key, now)
        admission = bank.admit(key, True, now in (0, 6))
        bank.write(key, torch.randn(objects, VALUE, 3, 4, generator=generator), now, admission, owner)
    entries = bank.entries
    anchors = {(w, c) for w, c in zip(entries.written.tolist(), entries.cell.tolist(), strict=True) if w in (0, 6)}
    assert anchors >= {(0, 0), (0, 1), (6, 9), (6, 10), (6, 11)}
    assert bank.frames_held == 2


def test_novelty_forgets_what_something_newer_resembles():
    entries = Entries(4, torch.zeros(4, 4), torch.zeros(1, 4, 1))
    entries.write(torch.arange(4), torch.eye(4) * 3, torch.zeros(1, 4, 1), now=0)
    entries.held = 4
    policy = AnchoredNovelty()
    policy.before_write(entries, torch.eye(4)[[2, 1]] * torch.tensor([[2.9], [2.0]]), torch.zeros(1, 2, 1))
    assert policy.evict(entries, 2, now=5).tolist() == [2, 1]
    torch.testing.assert_close(entries.usage[2].item(), math.exp(-(0.1**2) / 2), rtol=1e-5, atol=0)
