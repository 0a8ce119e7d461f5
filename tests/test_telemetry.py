"""Telemetry: lines and moments agree with a ledger kept by hand; recording them changes no mask and stays small."""

import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

import eval_davis
from dataset.masks import read_labels
from inference.memory import Admission, build_memory
from inference.telemetry import moments as telemetry_moments
from inference.telemetry.moments import MomentLog, read_telemetry
from inference.telemetry.recorder import AGES, Recorder

GRID, SIZE = (3, 4), (41, 60)             # a frame of 41 x 60 pixels is padded to 3 x 4 cells


class HandKept:
    """What is in a bank, entry by entry, by looking at all of it before and after: nothing is aligned with its rows."""

    def __init__(self, bank):
        self.bank, self.uses, self.stored, self.read = bank, Counter(), set(), None

    def contents(self):
        """(written, cell) of every visible row."""
        if self.bank.empty:
            return []
        return list(zip(*(column.tolist() for column in self.bank.entries.sources), strict=True))

    def reads(self, matches):
        rows = self.contents()
        hits = Counter(rows[row] for row in matches.indices.flatten().tolist())
        mass = Counter()
        for row, weight in zip(matches.indices.flatten().tolist(), matches.weights.flatten().tolist(), strict=True):
            mass[rows[row]] += weight
        self.uses += hits
        first = self.bank.entries.first_write
        self.read = [
            sum(amount[entry] for entry in amount if entry[0] == first) / sum(amount.values())
            for amount in (hits, mass)
        ]

    def line(self, frame):
        """The fields of a line that a ledger can know, after the step of `frame`."""
        entries = self.contents()
        stored = set(entries[: self.bank.entries.held]) if entries else set()
        evicted, self.stored = self.stored - stored, stored
        self.uses = Counter({entry: uses for entry, uses in self.uses.items() if entry in set(entries)})
        ages = [frame - written for written, _ in entries]
        tried = [self.uses[entry] == 0 for entry in entries if entry[0] < frame]
        first_hits, first_mass = self.read or (None, None)
        self.read = None
        return {
            "frame": frame, "name": f"{frame:05d}", "entries": len(entries), "evicted": len(evicted),
            "written": frame in dict(entries), "temporary": len(entries) - len(stored),
            "sources": {str(written): count for written, count in sorted(Counter(w for w, _ in entries).items())},
            "ages": {
                str(low): sum(low <= age < high for age in ages)
                for low, high in zip(AGES, [*AGES[1:], 10**9], strict=True)
            },
            "mean_age": pytest.approx(np.mean(ages), abs=1e-5) if ages else None,
            "never_used": pytest.approx(np.mean(tried), abs=1e-5) if tried else None,
            "first_hits": first_hits if first_hits is None else pytest.approx(first_hits, abs=1e-5),
            "first_mass": first_mass if first_mass is None else pytest.approx(first_mass, abs=1e-5),
        }


def stream(bank, recorder, frames=60, seed=0):
    """Random keys, values and writes through a bank; yields after every frame, with the hand-kept line."""
    draw = torch.Generator().manual_seed(seed)
    ledger = HandKept(bank)
    for now in range(frames):
        key = torch.randn(3, *GRID, generator=draw)
        if not bank.empty:
            ledger.reads(bank.read(key, now).matches)
        due = torch.rand(1, generator=draw).item() < 0.3
        admission = Admission.SKIP if now < 2 else bank.admit(key, due, annotated=now == 2)
        if admission is not Admission.SKIP:
            owner = torch.randint(0, 3, GRID, generator=draw)
            bank.write(key, torch.randn(2, 5, *GRID, generator=draw), now, admission, owner)
        recorder.record(f"{now:05d}")
        yield now, ledger.line(now)


@pytest.mark.parametrize(("policy", "options"), [
    ("lfu", {}), ("lfu", {"frames": 1}), ("lfu", {"frames": 4, "include_last": True, "protect_first": True}),
    ("every_k", {}), ("every_k", {"frames": 3}), ("first_and_latest", {}), ("random", {"frames": 3}), ("afb", {}),
    ("lru", {"include_last": True, "frames": 3}),
])
def test_every_line_and_moment_agrees_with_a_ledger_kept_by_hand(policy, options, tmp_path):
    bank = build_memory(policy, top_k=3, **options)
    expected, held, evictions = [], {}, 0
    with Recorder(bank, tmp_path, "noise", SIZE) as recorder:
        for now, line in stream(bank, recorder):
            expected.append(line)
            held[now] = sorted((*entry, uses) for entry, uses in zip(
                HandKept(bank).contents(), recorder.ledger.rows["uses"].tolist(), strict=True))
            evictions += line["evicted"]
            assert len(recorder.ledger.rows) == (0 if bank.empty else bank.entries.visible)     # never larger
            if policy == "lfu" and not bank.empty:           # the thesis's index is just what the recorder counts
                assert recorder.ledger.rows["uses"][: bank.entries.held].tolist() == bank.entries.usage.tolist()
    assert bank.observer is None
    telemetry = read_telemetry(tmp_path, "noise")
    assert [{key: line[key] for key in want} for line, want in zip(telemetry.lines, expected, strict=True)] == expected
    assert evictions > 0 or bank.frames is None
    changed = [line["frame"] for line in telemetry.lines if line["written"]]
    assert [moment.frame for moment in telemetry.moments] == sorted({*changed, 59})
    for moment in telemetry.moments:
        survivors = moment.survivors[["written", "cell", "uses"]].tolist()
        assert sorted(survivors) == held[moment.frame]
        assert len(moment.evicted) == telemetry.lines[moment.frame]["evicted"]
    assert (telemetry.grid, telemetry.size) == (GRID, SIZE)


def test_objects_are_counted_from_what_the_bank_says_each_entry_shows(tmp_path):
    bank = build_memory("lfu", frames=3, top_k=3)
    with Recorder(bank, tmp_path, "noise", SIZE) as recorder:
        for _ in stream(bank, recorder):
            pass
    owner, written = bank.entries.owner, bank.entries.written
    line = read_telemetry(tmp_path, "noise").lines[-1]
    assert line["objects"] == {str(number): int((owner == number).sum()) for number in (1, 2)}
    first = {str(number): int(((owner == number) & (written == 2)).sum()) for number in (1, 2)}
    assert line["first_objects"] == {number: count for number, count in first.items() if count}


def test_a_bank_that_is_not_observed_does_the_same(tmp_path):
    observed, alone = (build_memory("lfu", top_k=3) for _ in range(2))

    class Nobody:
        record = staticmethod(lambda name: None)

    with Recorder(observed, tmp_path, "noise", SIZE) as recorder:
        for _ in zip(stream(observed, recorder), stream(alone, Nobody), strict=True):
            pass
    for mine, other in zip(observed.entries.sources, alone.entries.sources, strict=True):
        assert torch.equal(mine, other)
    assert torch.equal(observed.entries.usage, alone.entries.usage)


def test_the_record_of_a_long_video_is_bounded_and_evenly_thinned(monkeypatch):
    rows = np.zeros(30, telemetry_moments.ROW)
    log = MomentLog(SIZE)
    for frame in range(5000):
        log.add(frame, rows, rows[:10])
        assert len(log.moments) <= telemetry_moments.MOMENTS
    assert set(np.diff([moment.frame for moment in log.moments])) == {64}
    monkeypatch.setattr(telemetry_moments, "ROWS", 200)
    for frame in range(5000, 6000):
        log.add(frame, rows, rows[:10])
    assert sum(len(moment.rows) for moment in log.moments) <= 200
    log.finish(6000, rows)
    assert [log.moments[0].frame, log.moments[-1].frame] == [0, 6000]


def test_files_appear_when_the_sequence_is_finished(tmp_path):
    def files():
        return sorted(path.name for path in tmp_path.rglob("*") if path.is_file())

    bank = build_memory("lfu", top_k=3)
    recorder = Recorder(bank, tmp_path, "noise", SIZE)
    recorder.__enter__()
    for _ in stream(bank, recorder, frames=20):
        assert files() == [".noise.jsonl.partial"]
    recorder.__exit__(RuntimeError, RuntimeError(), None)
    assert files() == []
    bank.reset()
    with Recorder(bank, tmp_path, "noise", SIZE) as recorder:
        for _ in stream(bank, recorder):
            pass
    assert [re.sub(r"\d.*", "", name) for name in files()] == ["events.out.tfevents.", "noise.jsonl", "noise.npz"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    curves = EventAccumulator(str(tmp_path / "tensorboard/noise")).Reload()
    lines = read_telemetry(tmp_path, "noise").lines
    for curve in ("frames_held", "never_used", "first_hits", "mean_age"):
        found = [(event.step, event.value) for event in curves.Scalars(f"telemetry/{curve}")]
        known = [(line["frame"], pytest.approx(line[curve])) for line in lines if line[curve] is not None]
        assert found == known


@pytest.fixture(scope="module")
def root(recorded):
    return recorded[0]


@pytest.fixture(scope="module")
def run(recorded):
    return recorded[1]


def evaluate(root, weights, output, *more):
    eval_davis.main([
        "--davis-root", str(root), "--weights", str(weights), "--output", str(output), "--device", "cpu",
        "--memory-every", "2", "--top-k", "5", *more,
    ])


def test_the_quality_of_every_mask_is_recorded(run):
    lines = read_telemetry(run / "telemetry", "clip-001").lines
    for line in lines:
        labels = read_labels(run / "clip-001" / f"{line['name']}.png")
        areas = {number: each["area"] for number, each in line["quality"].items()}
        assert areas == {str(number): (labels == number).sum() for number in range(1, 1 + len(areas))}
        assert labels.max() <= len(areas)
    assert all(each["confidence"] == pytest.approx(1, abs=1e-3) for each in lines[0]["quality"].values())
    assert all(0 < each["confidence"] < 0.999 for each in lines[5]["quality"].values())


@pytest.mark.slow
def test_telemetry_changes_no_mask_and_may_be_asked_for_later(root, weights, run, tmp_path):
    output = tmp_path / "out"
    evaluate(root, weights, output)
    masks = {path.relative_to(output): path.read_bytes() for path in output.glob("*/*.png")}
    assert len(masks) == 22
    for path, content in masks.items():
        assert (run / path).read_bytes() == content
    assert not (output / "telemetry").exists()
    evaluate(root, weights, output, "--telemetry")                    # made again for the files that are lacking
    assert {path: (output / path).read_bytes() for path in masks} == masks
    lines = (run / "telemetry/clip-002.jsonl").read_text()
    assert (output / "telemetry/clip-002.jsonl").read_text() == lines
    assert [json.loads(line)["name"] for line in lines.splitlines()] == [f"{frame:05d}" for frame in range(11)]


@pytest.mark.slow
def test_a_resumed_run_keeps_finished_telemetry_and_overwriting_removes_it(root, weights, run, tmp_path):
    shutil.copytree(run, tmp_path / "out")
    output = tmp_path / "out"
    (output / "telemetry/clip-002.npz").unlink()
    kept, redone = (output / f"telemetry/clip-00{number}.jsonl" for number in (1, 2))
    before = kept.stat().st_mtime_ns, redone.stat().st_mtime_ns
    evaluate(root, weights, output, "--telemetry")
    assert (kept.stat().st_mtime_ns == before[0], redone.stat().st_mtime_ns == before[1]) == (True, False)
    evaluate(root, weights, output, "--memory-frames", "3", "--overwrite")
    assert [path for path in (output / "telemetry").rglob("*") if path.is_file()] == []


def test_several_views_record_the_first_ones_bank(root, weights, run, tmp_path):
    evaluate(root, weights, tmp_path / "out", "--telemetry", "--flip", "--sequences", "clip-001")
    flipped, plain = (read_telemetry(folder / "telemetry", "clip-001") for folder in (tmp_path / "out", run))
    assert flipped.lines[0] == plain.lines[0]
    assert [line["entries"] for line in flipped.lines] == [line["entries"] for line in plain.lines]
