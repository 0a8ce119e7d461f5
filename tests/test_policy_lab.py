"""scripts/policy_lab.py: folders of keys and replays resume and refuse as runs do; correlations; plain errors."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from dataset.synthetic import make_davis
from inference.lab.replay import QUALITY_ROWS, ROWS, Replay
from inference.scoring.davis import GLOBAL_COLUMNS
from model.checkpoint import save_network
from scripts import policy_lab

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"val": 2}, frames=14, size=(50, 70), progress=False)
    return root


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


def test_keys_of_an_earlier_version_lack_the_quality_of_masks(root, weights, tmp_path, capsys):
    """Until they are made again."""
    make_keys(root, weights, tmp_path / "keys", "--no-quality", "--sequences", "clip-001")
    record = json.loads((tmp_path / "keys/keys.json").read_text())
    del record["videos"]["clip-001"]["quality"]
    (tmp_path / "keys/keys.json").write_text(json.dumps(record))
    run = ["replay", "--keys", str(tmp_path / "keys"), "--capacities", "2", "--workers", "1"]
    policy_lab.main([*run, "--output", str(tmp_path / "old")])
    assert set(QUALITY_ROWS) == {"dam", "qdmn", "quality_fifo", "recover"}
    assert f"keys: {', '.join(QUALITY_ROWS)} are left out, since they need the quality" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        policy_lab.main([*run, "--output", str(tmp_path / "none"), "--policies", "fifo", "qdmn"])
    assert "expected keys with the quality of the masks for qdmn, found none" in capsys.readouterr().err
    make_keys(root, weights, tmp_path / "keys", "--sequences", "clip-001")
    policy_lab.main([*run, "--output", str(tmp_path / "new"), "--policies", "fifo", "qdmn"])
    assert "qdmn: told the quality of the masks that the unbounded bank" in (tmp_path / "new/lab.md").read_text()


@pytest.mark.slow
def test_a_stopped_replay_resumes_and_ends_with_the_same_bytes(stored, tmp_path):
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
        (["replay", "--keys", "{keys}", "--output", "{new}", "--capacities", "0"], "capacities 0: expected at least 1"),
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


@pytest.mark.slow
def test_every_policy_has_its_lines_and_its_curve(stored, tmp_path):
    replay(stored, tmp_path, "--policies", *ROWS)
    with (tmp_path / "lab.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert {line["policy"] for line in lines} >= set(ROWS)
    assert {line["memory_frames"] for line in lines if line["policy"] == "first_and_latest"} == {""}      # no capacity
    with Image.open(tmp_path / "lab.png") as picture:
        assert len(set(picture.convert("RGB").getdata())) > len(ROWS)
