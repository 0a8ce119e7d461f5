"""The policy lab keeps what evaluations keep; nothing beats its bound; its folders go on and refuse as runs do."""

import csv
import json

import numpy as np
import pytest
import torch

from dataset.davis import davis_sequences
from dataset.synthetic import make_davis
from inference import VideoSegmenter, build_memory
from inference.lab import contestant as measures
from inference.lab import reference
from inference.lab.clairvoyant import retained_bound
from inference.lab.correlation import spearman
from inference.lab.keys import VideoKeys, cell_shares, encode_video
from inference.lab.lookup_bank import LabBank, SharedReads
from inference.lab.replay import CLAIRVOYANT, DEFAULT_ROWS, ROWS, UNBOUNDED, LabOptions, Replay
from inference.memory import Admission
from inference.segmenter import owners
from model.checkpoint import save_network
from model.matching import dense_weights, match
from scripts import policy_lab

CELLS, KEY = (3, 4), 8
HW = CELLS[0] * CELLS[1]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tensors are tiny here: threads would only wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def video(frames=25, seed=0, objects=1, drift=0.4):
    """Keys of a random walk, so that near frames are alike; shares of random objects."""
    generator = torch.Generator().manual_seed(seed)
    steps = drift * torch.randn(frames, KEY, *CELLS, generator=generator)
    steps[0] = torch.randn(KEY, *CELLS, generator=generator)
    shares = torch.rand(frames, objects + 1, *CELLS, generator=generator).mul(4).softmax(1)[:, 1:]
    return VideoKeys(f"video-{seed}", steps.cumsum(0).numpy().astype(np.float16), shares.numpy().astype(np.float16))


def options(rows=DEFAULT_ROWS, capacities=(1, 2, 4), every=2, top_k=4):
    return LabOptions(tuple(rows), capacities, every, top_k)


def drive(bank, keys, every, reads=None):
    """As `VideoSegmenter` does; yields the read-outs."""
    last = None
    for now, key in enumerate(keys):
        if reads is not None:
            reads.begin(now)
        readout = bank.read(key, now) if now else None
        admission = bank.admit(key, last is None or now - last >= every, now == 0)
        if admission is not Admission.SKIP:
            bank.write(key, key[None, :1], now, admission)
            last = now if admission is Admission.STORE else last
        yield readout


def survivors(bank):
    return sorted(zip(bank.entries.written.tolist(), bank.entries.cell.tolist(), strict=True))


@pytest.mark.parametrize("depth", [6, 512])              # 6: most lists end before they hold a top-4
@pytest.mark.parametrize("frames", [1, 2, 4])
@pytest.mark.parametrize("row", [*DEFAULT_ROWS, "first_and_latest"])
def test_a_shared_read_equals_the_plain_match_and_keeps_the_same_entries(row, frames, depth, monkeypatch):
    monkeypatch.setattr(reference, "_DEPTH", depth)
    keys = torch.from_numpy(video().keys).float()
    cells = keys.flatten(2).transpose(1, 2)
    reads = SharedReads(reference.Reference(cells, 2, 4))
    plain, lab = (next(bank for bank in options((row,), (frames,)).banks(row)) for _ in range(2))
    lab = LabBank(lab, reads)
    for expected, found in zip(drive(plain, keys, 2), drive(lab, keys, 2, reads), strict=True):
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


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"val": 2}, frames=14, size=(50, 70), progress=False)
    return root


@pytest.fixture(scope="module")
def replayed(root, tiny_network):
    """A lab's replay of a clip, with keys in fp32, as the segmenter below has them."""
    segmenter = VideoSegmenter(tiny_network, build_memory("every_k"))
    sequence = davis_sequences(root)[0]
    replay = Replay(encode_video(sequence, segmenter, dtype=np.float32), options(capacities=(2, 3)))
    replay.run()
    return sequence, {(one.row, one.bank.frames): one.bank for one in replay.contestants}


@pytest.mark.parametrize("row", DEFAULT_ROWS)
def test_the_lab_keeps_entry_by_entry_what_an_evaluation_keeps(row, replayed, tiny_network):
    sequence, banks = replayed
    policy, more = ROWS[row]
    for frames in (2, 3):
        memory = build_memory(policy, frames, 4, **more)
        segmenter = VideoSegmenter(tiny_network, memory, memory_every=2)
        for frame in sequence:
            segmenter.step(frame.image, frame.annotation)
        assert survivors(memory) == survivors(banks[row, frames])


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
    assert torch.equal(measures.cell_owners(shares), owners(pixels))


def make_keys(root, weights, folder, *more):
    policy_lab.main(["keys", "--davis-root", str(root), "--year", "2017", "--weights", str(weights), "--keys",
                     str(folder), "--device", "cpu", *more])


def replay(folder, output, *more):
    policy_lab.main(["replay", "--keys", str(folder), "--output", str(output), "--policies", "lfu", "fifo",
                     "--capacities", "1", "2", "--memory-every", "2", "--top-k", "4", "--workers", "1", *more])
    return (output / "lab.csv").read_bytes()


@pytest.fixture(scope="module")
def stored(root, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "keys"
    make_keys(root, weights, folder)
    return folder


def test_keys_are_stored_once_and_refused_to_other_weights(root, weights, stored, tiny_network, tmp_path, capsys):
    with np.load(stored / "clip-000.npz") as arrays:
        assert arrays["keys"].shape == (14, 16, 4, 5)
        assert arrays["keys"].dtype == arrays["shares"].dtype == np.float16
        assert arrays["shares"].shape == (14, 2, 4, 5)
    before = (stored / "clip-000.npz").stat().st_mtime_ns
    make_keys(root, weights, stored)
    assert (stored / "clip-000.npz").stat().st_mtime_ns == before
    save_network(tmp_path / "other.pth", tiny_network.double())
    tiny_network.float()
    with pytest.raises(SystemExit, match="2"):
        make_keys(root, tmp_path / "other.pth", stored)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "keys.json: expected weights_sha256=" in error
    assert "choose another --keys" in error


def test_a_stopped_replay_goes_on_and_ends_with_the_same_bytes(stored, tmp_path):
    whole = replay(stored, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        run, done = Replay.run, []

        def stopped_at_the_second(self):
            done.append(self.video.name)
            if len(done) == 2:
                raise KeyboardInterrupt
            return run(self)

        patch.setattr(Replay, "run", stopped_at_the_second)
        with pytest.raises(SystemExit, match="130"):
            replay(stored, tmp_path / "parts")
    assert not (tmp_path / "parts/lab.csv").exists()
    assert replay(stored, tmp_path / "parts") == whole
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == [
        ".records", "lab.csv", "lab.md", "lab.png", "replay.json",
    ]
    rows = list(csv.DictReader(whole.decode().splitlines()))
    assert [(row["sequence"], row["policy"], row["memory_frames"]) for row in rows[:10]] == [
        ("clip-000", policy, frames) for policy, frames in (
            ("unbounded", ""), ("lfu", "1"), ("lfu", "2"), ("fifo", "1"), ("fifo", "2"), ("clairvoyant", "1"),
            ("clairvoyant", "2"), ("bound", "1"), ("bound", "2"))
    ] + [("clip-001", "unbounded", "")]


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(stored, tmp_path):
    assert replay(stored, tmp_path / "two", "--workers", "2") == replay(stored, tmp_path / "one")


def test_spearman_by_hand_and_with_ties():
    assert spearman([1, 2, 3, 4], [10, 20, 40, 30]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))


def test_correlation_with_run_folders_and_with_an_ablation(stored, tmp_path, capsys):
    rows = csv.DictReader(replay(stored, tmp_path / "lab").decode().splitlines())
    rows = [row for row in rows if row["memory"] in ("lfu", "fifo")]
    lines = ["sequence,memory,memory_frames,memory_every,top_k,index,include_last,protect_first,J&F-Mean"] + [
        f"{row['sequence']},{row['memory']},{row['memory_frames']},2,4,{row['index']},False,False,"
        f"{row['retained mass']}" for row in rows
    ]
    (tmp_path / "ablation.csv").write_text("\n".join([*lines, "(mean),lfu,2,2,4,topk,False,False,0.9", ""]))
    policy_lab.main(["correlate", "--replay", str(tmp_path / "lab"), "--ablation", str(tmp_path / "ablation.csv")])
    assert correlations(capsys)[:3] == [
        ["retained mass", "all", "+1.000", "8"], ["retained mass", "each sequence, mean", "+1.000", "8 in 2"],
        ["retained mass", "means of banks", "+1.000", "4"],
    ]

    digest = json.loads((stored / "keys.json").read_text())["settings"]["weights_sha256"]
    for name, every in (("lfu", 2), ("fifo", 2), ("other", 5)):
        run(tmp_path / name, {
            "command": "eval_davis", "weights_sha256": digest, "memory": "lfu" if name == "other" else name,
            "memory_frames": 2, "memory_every": every, "top_k": 4, "index": "topk", "year": 2017,
        })
    runs = [str(tmp_path / name) for name in ("lfu", "fifo", "other")]
    policy_lab.main(["correlate", "--replay", str(tmp_path / "lab"), "--runs", *runs])
    assert correlations(capsys)[0] == ["retained mass", "all", "-", "4"]         # all scores are equal


def correlations(capsys):
    table = capsys.readouterr().out.splitlines()[-9:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def run(folder, settings):
    from inference.scoring.davis import GLOBAL_COLUMNS

    scores = {column: 0.5 for column in GLOBAL_COLUMNS}
    sequences = {name: {"frames": 14} for name in ("clip-000", "clip-001")}
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({
        "settings": settings, "totals": {"frames": 28}, "sequences": sequences, "scores": scores,
        "scores_per_sequence": {name: scores for name in sequences},
    }))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["keys", "--davis-root", "{root}", "--year", "2017", "--weights", "none.pth", "--keys", "{new}"], "none.pth"),
        (["replay", "--keys", "{new}", "--output", "{new}"], "keys.json: expected the record of a folder of keys"),
        (["replay", "--keys", "{keys}", "--output", "{new}", "--sequences", "dog"], "expected the video dog"),
        (["replay", "--keys", "{keys}", "--output", "{lab}", "--top-k", "3"], "replay.json: expected rows="),
        (["replay", "--keys", "{keys}", "--output", "{new}", "--policies", "lifo"], "invalid choice: 'lifo'"),
        (["replay", "--keys", "{keys}", "--output", "{new}", "--capacities", "0"], "at least 1, found '0'"),
        (["correlate", "--replay", "{new}", "--runs", "x"], "replay.json: expected the record of a replay"),
        (["correlate", "--replay", "{lab}", "--runs", "{new}"], "run.json: expected the record of a run"),
        (["correlate", "--replay", "{lab}", "--ablation", "{keys}/keys.json"], "expected the columns sequence"),
        (["correlate", "--replay", "{lab}"], "expected at least 3 points"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(arguments, words, root, stored, lab, tmp_path, capsys):
    places = {"root": root, "keys": stored, "lab": lab, "new": tmp_path / "new"}
    with pytest.raises(SystemExit, match="2"):
        policy_lab.main([argument.format(**places) for argument in arguments])
    assert words in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def lab(stored, tmp_path_factory):
    output = tmp_path_factory.mktemp("replayed") / "lab"
    replay(stored, output)
    return output


def test_damaged_keys_are_a_plain_error(stored, tmp_path, capsys):
    (tmp_path / "keys").mkdir()
    for path in stored.iterdir():
        (tmp_path / "keys" / path.name).write_bytes(path.read_bytes()[: None if path.suffix == ".json" else 500])
    with pytest.raises(SystemExit, match="2"):
        replay(tmp_path / "keys", tmp_path / "out")
    assert "clip-000.npz: expected the keys of a video" in capsys.readouterr().err
