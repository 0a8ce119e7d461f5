"""scripts/ablate.py: many cells at once, the numbers of single runs; what is recorded is never computed again."""

import csv
import itertools
import json
import shutil
from collections import Counter
from types import SimpleNamespace

import pytest

import eval_davis
from dataset.masks import read_labels
from dataset.synthetic import make_davis
from inference.scoring.davis import GLOBAL_COLUMNS
from inference.scoring.live import LiveScores
from model.checkpoint import save_network
from model.network import STCN
from scripts import ablate

FRAMES = 6
SINGLE_RUNS = {
    "every_k-every2-top5": ("--memory", "every_k"),
    "first_and_latest-top5": ("--memory", "first_and_latest"),
    "lfu2-every2-top5-topk": ("--memory", "lfu", "--memory-frames", "2"),
    "lfu2-every2-top5-softmax": ("--memory", "lfu", "--memory-frames", "2", "--index", "softmax"),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two sequences of two objects each; as DAVIS 2016, of one."""
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"train": 1, "val": 2}, frames=FRAMES, size=(48, 70), progress=False)
    shutil.copytree(root / "ImageSets/2017", root / "ImageSets/2016")
    return root


@pytest.fixture
def calls(monkeypatch):
    """How often the network's parts were used."""
    counted = Counter()
    for part, original in (("encode_key", STCN.encode_key), ("segment", STCN.segment)):
        def counting(self, *arguments, part=part, original=original):
            counted[part] += 1
            return original(self, *arguments)
        monkeypatch.setattr(STCN, part, counting)
    return counted


@pytest.fixture
def _steady_clock(monkeypatch):
    """A second passes whenever somebody looks, so that speeds are the same in every run."""
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    for module in ("inference.ablation.lockstep", "inference.run.meter"):
        monkeypatch.setattr(f"{module}.time", clock)


def flags(root, weights, output, *more):
    return ["--davis-root", str(root), "--weights", str(weights), "--output", str(output), "--device", "cpu",
            "--memory-every", "2", "--top-k", "5", *more]


def run_ablation(root, weights, output, *more):
    """Rows of the CSV by (sequence, memory, memory_frames, index), and run.json."""
    ablate.main(flags(root, weights, output, *more))
    with open(output / "ablation.csv", newline="") as lines:
        rows = {(r["sequence"], r["memory"], r["memory_frames"], r["index"]): r for r in csv.DictReader(lines)}
    return rows, json.loads((output / "run.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("year", "decode"), [(2017, "full"), (2016, "window")])
def test_numbers_and_masks_are_those_of_single_runs(year, decode, root, weights, tmp_path):
    more = ("--year", str(year), "--decode", decode)
    rows, run = run_ablation(
        root, weights, tmp_path / "ablation", *more, "--memory", "every_k", "first_and_latest", "lfu",
        "--memory-frames", "2", "--index", "topk", "softmax", "--write-masks",
    )
    assert run["cells"] == len(SINGLE_RUNS)
    for name, memory in SINGLE_RUNS.items():
        single = tmp_path / name
        eval_davis.main(flags(root, weights, single, *more, *memory))
        alone, options = json.loads((single / "run.json").read_text()), run["results"][name]
        assert options["scores"] == alone["scores"]
        key = options["memory"], str(options["memory_frames"] or ""), options["index"] or ""
        with open(single / "global_results-val.csv", newline="") as lines:
            expected = next(csv.DictReader(lines))
        assert {column: rows["(mean)", *key][column] for column in GLOBAL_COLUMNS} == expected
        for sequence, scores in alone["scores_per_sequence"].items():
            row, report = rows[sequence, *key], alone["sequences"][sequence]
            assert {column: row[column] for column in scores} == {c: f"{s:.6f}" for c, s in scores.items()}
            assert float(row["frames_held_mean"]) == pytest.approx(report["frames_held_mean"], abs=1e-4)
            assert int(row["bytes_held_peak"]) == report["bytes_held_peak"]
        for mask in single.glob("clip-*/*.png"):
            assert mask.read_bytes() == (tmp_path / "ablation" / name / mask.relative_to(single)).read_bytes()


@pytest.mark.slow
def test_each_frame_is_encoded_once(root, weights, tmp_path, calls, capsys):
    arguments = ("--memory", "lfu", "fifo", "--memory-frames", "1", "2", "--short-side", "32", "--write-masks")
    _, run = run_ablation(root, weights, tmp_path / "out", *arguments)
    assert calls == {"encode_key": 2 * FRAMES, "segment": 4 * 2 * (FRAMES - 1)}
    assert read_labels(tmp_path / "out/lfu1-every2-top5-topk/clip-001/00003.png").shape == (48, 70)
    assert set(run["step_seconds"]) == {
        "lfu1-every2-top5-topk", "lfu2-every2-top5-topk", "fifo1-every2-top5", "fifo2-every2-top5"
    }
    own = sum(run["step_seconds"].values())
    assert run["step_seconds_total"] == pytest.approx(own)
    assert run["wall_seconds"] > own + run["encode_seconds_total"]
    assert run["ratio"] == pytest.approx(run["wall_seconds"] / own)
    assert f"value encoding of 4 settings {own:.1f} s (ratio {run['ratio']:.2f})" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("_steady_clock")
def test_a_stopped_ablation_resumes_and_ends_with_the_same_bytes(root, weights, tmp_path, calls, monkeypatch):
    arguments = ("--memory", "lfu", "--memory-frames", "1", "2")
    run_ablation(root, weights, tmp_path / "whole", *arguments)
    with monkeypatch.context() as patch:
        patch.setattr(LiveScores, "add", _interrupted_after(2 * (FRAMES - 2) + 3))
        with pytest.raises(SystemExit, match="130"):
            run_ablation(root, weights, tmp_path / "parts", *arguments)
    assert sorted(path.name for path in (tmp_path / "parts").rglob("*.json")) == ["clip-001.json", "run.json"]

    calls.clear()
    run_ablation(root, weights, tmp_path / "parts", *arguments)
    assert calls["encode_key"] == FRAMES
    calls.clear()
    run_ablation(root, weights, tmp_path / "parts", *arguments)
    assert not calls
    for file in ("ablation.csv", "ablation.md"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


@pytest.mark.slow
def test_added_cells_and_sequences_are_all_that_is_computed(root, weights, tmp_path, calls):
    first, _ = run_ablation(root, weights, tmp_path / "out", "--memory", "lfu", "--memory-frames", "2",
                            "--sequences", "clip-001")
    calls.clear()
    second, run = run_ablation(root, weights, tmp_path / "out", "--memory", "lfu", "--memory-frames", "1", "2")
    assert calls == {"encode_key": 2 * FRAMES, "segment": 3 * (FRAMES - 1)}
    assert second["clip-001", "lfu", "2", "topk"] == first["clip-001", "lfu", "2", "topk"]
    assert len(second) == 6
    assert run["cells"] == 2

    calls.clear()
    masks, _ = run_ablation(root, weights, tmp_path / "out", "--memory", "lfu", "--memory-frames", "2",
                            "--write-masks")
    assert calls["segment"] == 2 * (FRAMES - 1)              # masks were not asked for before
    same = set(GLOBAL_COLUMNS)
    assert {c: masks["clip-001", "lfu", "2", "topk"][c] for c in same} == {
        c: first["clip-001", "lfu", "2", "topk"][c] for c in same}


@pytest.mark.slow
def test_the_page_and_the_figures(root, weights, tmp_path, capsys):
    run_ablation(root, weights, tmp_path / "out", "--memory", "every_k", "lfu", "--memory-frames", "1", "2",
                 "--include-last")
    assert "note: lfu1-every2-top5-topk-last left out: memory_frames 1: expected at least 2" in capsys.readouterr().out
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {".records", "ablation.csv", "ablation.md", "run.json", "score_over_capacity.png",
                     "speed_over_score.png"}
    page = (tmp_path / "out/ablation.md").read_text()
    for part in ("DAVIS 2017 val: 2 sequences, 12 frames; fp32, every 2 frames, top 5", "previous frame included",
                 "| every-2 ", "| LFU, 2 frames ", "**", "(score_over_capacity.png)", "| clip-002 "):
        assert part in page, part
    run_ablation(root, weights, tmp_path / "out", "--memory", "every_k")
    assert not (tmp_path / "out/score_over_capacity.png").exists()         # no bank has a capacity


@pytest.mark.slow
def test_another_run_is_refused_and_overwritten_only_where_asked(root, weights, tiny_network, tmp_path, capsys):
    arguments = (tmp_path / "out", "--memory", "lfu", "--memory-frames", "1", "--write-masks")
    run_ablation(root, weights, *arguments)
    other = STCN(tiny_network.config)
    save_network(tmp_path / "other.pth", other)
    with pytest.raises(SystemExit, match="2"):
        run_ablation(root, tmp_path / "other.pth", *arguments)
    assert "run.json: expected weights_sha256=" in capsys.readouterr().err
    (tmp_path / "out/lfu1-every2-top5-topk/mine").mkdir()
    run_ablation(root, tmp_path / "other.pth", *arguments, "--sequences", "clip-002", "--overwrite")
    left = sorted(path.name for path in (tmp_path / "out/lfu1-every2-top5-topk").iterdir())
    assert left == ["clip-002", "mine"]

    (tmp_path / "single").mkdir()
    (tmp_path / "single/run.json").write_text('{"settings": {"command": "eval_davis"}}')
    for more in ((), ("--overwrite",)):
        with pytest.raises(SystemExit, match="2"):
            run_ablation(root, weights, tmp_path / "single", *more)
        assert "run.json: expected command='ablate' as in this command, found 'eval_davis'" in capsys.readouterr().err


@pytest.mark.slow
def test_bad_input_is_one_line_and_exit_status_2(root, weights, tmp_path, capsys):
    shutil.copytree(root, tmp_path / "DAVIS")
    (tmp_path / "DAVIS/Annotations/480p/clip-002/00003.png").unlink()
    (tmp_path / "taken/lfu1-every2-top5-topk/clip-001").mkdir(parents=True)
    (tmp_path / "damaged/.records").mkdir(parents=True)
    (tmp_path / "damaged/.records/clip-001.json").write_text("{}")
    bank = ("--memory", "lfu", "--memory-frames", "1")
    for data, out, more, words in (
        (tmp_path / "DAVIS", "out", (), "clip-002: expected an annotation of each of the 6 frames"),
        (root, "out", ("--include-last",), "memory_frames 1: expected at least 2"),
        (root, "out", ("--short-side", "7"), "--short-side 7: expected 0, or at least 16"),
        (root, "out", ("--top-k", "0"), "top_k 0: expected at least 1"),
        (root, "out", ("--weights", "nowhere.pth"), "nowhere.pth: expected a weights file"),
        (root, "taken", ("--write-masks",), "clip-001: expected no such folder or file before the run"),
        (root, "damaged", (), "clip-001.json: expected the record of a sequence's settings"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run_ablation(data, weights, tmp_path / out, *bank, *more)
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert "error: " in error
        assert words in error
    assert not (tmp_path / "out").exists()


def _interrupted_after(frames):
    original, added = LiveScores.add, []

    def add(self, truth, prediction):
        added.append(1)
        if len(added) > frames:
            raise KeyboardInterrupt
        original(self, truth, prediction)

    return add
