"""scripts/benchmark.py runs on small data and writes a line per measurement; its numbers are nobody's claim here."""

import json
import shutil

from dataset.synthetic import make_davis, make_static
from scripts import benchmark
from scripts.benchmarks.measure import measure_in_turn, ratio


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


def test_candidates_run_in_turn_and_the_warm_up_does_not_count():
    calls = []
    results = measure_in_turn("read", {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, runs=2)
    assert calls == ["a", "b"] * 3
    assert results["a"].runs == 2
    assert ratio(results["a"], results["b"]) == results["a"].median / results["b"].median
