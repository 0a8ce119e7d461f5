"""scripts/benchmark.py runs on small data and writes a line per measurement; its numbers are nobody's claim here."""

import json
import shutil

import pytest

from dataset.synthetic import make_davis, make_static
from scripts import benchmark
from scripts.benchmarks.measure import measure_in_turn, ratio


@pytest.mark.slow
def test_sections_write_a_json_line_per_measurement(tmp_path, capsys):
    make_static(tmp_path / "static/ECSSD", images=3, size=(48, 64), progress=False)
    make_davis(tmp_path / "DAVIS", sequences={"train": 1, "val": 1}, frames=6, size=(48, 64), progress=False)
    shutil.copytree(tmp_path / "DAVIS/ImageSets/2017", tmp_path / "DAVIS/ImageSets/2016")
    benchmark.main(["--data", str(tmp_path), "--only", "loader", "score", "--output", str(tmp_path / "lines.jsonl")])
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert [line["section"] for line in lines] == ["loader", "loader", "score", "score"]
    assert all(0 < line["fastest"] <= line["median"] <= line["slowest"] for line in lines)
    assert lines[0]["machine"]["torch"]
    assert "static sample" in capsys.readouterr().out


@pytest.mark.slow
def test_sections_over_videos_run_with_the_compact_network(tmp_path, monkeypatch):
    make_davis(tmp_path / "DAVIS", sequences={"train": 1, "val": 1}, frames=6, size=(48, 64), progress=False)
    shutil.copytree(tmp_path / "DAVIS/ImageSets/2017", tmp_path / "DAVIS/ImageSets/2016")
    (sequence,) = (tmp_path / "DAVIS/ImageSets/2016/val.txt").read_text().split()
    monkeypatch.setattr("scripts.benchmarks.long.SIZE", (48, 64))
    benchmark.main([
        "--data", str(tmp_path), "--only", "video", "parts", "window", "files", "long", "--weights", "compact",
        "--frames", "30", "--precision", "auto", "--sequence", sequence, "--output", str(tmp_path / "lines.jsonl"),
        "--figure", str(tmp_path / "figure.png"),
    ])
    lines = [json.loads(line) for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert {line["section"] for line in lines} == {"video", "parts", "window", "files", "long"}
    assert [line["name"] for line in lines if line["section"] == "long"] == [
        "lfu, 30 frames", "first_and_latest, 30 frames", "every_k, 30 frames"
    ]
    names = [line["name"] for line in lines if line["section"] == "files"]
    assert names[:3] == ["reading a frame, one thread", "writing a mask, one thread", "instant segmenter"]
    assert (tmp_path / "figure.png").stat().st_size > 1000


def test_candidates_run_in_turn_and_the_warm_up_does_not_count():
    calls = []
    results = measure_in_turn("read", {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=2)
    assert calls == ["a", "b"] * 3
    assert results["a"].runs == 2
    assert ratio(results["a"], results["b"]) == results["a"].median / results["b"].median
