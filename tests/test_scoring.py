"""Scoring a folder of results: what counts, what is noted, what is refused, and the command."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dataset.errors import DatasetError
from dataset.masks import write_labels
from inference.scoring.davis import format_table, global_statistics, score_results, score_sequence, write_csvs
from scripts.score_results import main

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "score_results.py"
TWO = np.zeros((20, 30), np.uint8)
TWO[2:10, 2:10], TWO[12:18, 15:25] = 1, 2
SHIFTED = np.roll(TWO, 4, axis=1)


def test_first_and_last_frame_do_not_count(tmp_path):
    truth = folder(tmp_path / "truth", [TWO] * 5)
    folder(tmp_path / "results", [TWO * 0, TWO, SHIFTED, TWO, TWO * 0])
    scores = score_sequence(truth, tmp_path / "results", binary=False)
    assert (scores.sequence, scores.frames, scores.notes) == ("results", ["00001", "00002", "00003"], [])
    assert list(scores.objects) == [1, 2]
    assert scores.objects[1].j == pytest.approx([1, 1 / 3, 1])
    assert scores.objects[1].j_statistics.recall == pytest.approx(2 / 3)


def test_binary_scoring_joins_all_labels(tmp_path):
    truth = folder(tmp_path / "truth", [(TWO > 0) * 255] * 3)
    folder(tmp_path / "results", [TWO] * 3)
    scores = score_sequence(truth, tmp_path / "results", binary=True)
    assert {number: scored.j for number, scored in scores.objects.items()} == {1: [1.0]}


def test_void_is_no_object_but_background(tmp_path):
    void = TWO.copy()
    void[:, 26:] = 255
    prediction = TWO.copy()
    prediction[:, 26:] = 1                                  # 80 pixels on void beside the 64 of object 1
    truth = folder(tmp_path / "truth", [void] * 3)
    folder(tmp_path / "results", [prediction] * 3)
    scores = score_sequence(truth, tmp_path / "results", binary=False)
    assert [scored.j for scored in scores.objects.values()] == [[64 / 144], [1.0]]
    assert scores.objects[1].f[0] < scores.objects[2].f[0] == 1


def test_missing_and_foreign_objects_are_noted(tmp_path):
    late = TWO.copy()
    late[0, 20:] = 3
    truth = folder(tmp_path / "truth", [TWO, late, late, late])
    folder(tmp_path / "results", [np.where(TWO == 2, 7, TWO)] * 4)
    scores = score_sequence(truth, tmp_path / "results", binary=False)
    assert scores.objects[2].j == scores.objects[2].f == [0.0, 0.0]
    for part in ("object 3 that its first annotation lacks", "object 7 that the ground truth lacks",
                 "the results lack object 2; scored as empty masks"):
        assert any(part in note for note in scores.notes), part


def test_ground_truth_against_itself_is_noted(tmp_path):
    truth = folder(tmp_path / "truth", [TWO] * 4)
    (note,) = score_sequence(truth, tmp_path / "truth", binary=False).notes
    assert note.startswith("truth: all 2 scored masks equal the ground truth")


def test_what_cannot_be_scored_is_named(tmp_path):
    truth = folder(tmp_path / "truth", [TWO] * 4)
    with pytest.raises(DatasetError, match=r"results: expected the folder of result masks"):
        score_sequence(truth, tmp_path / "results", binary=False)
    folder(tmp_path / "results", [TWO] * 4)
    write_labels(tmp_path / "results" / "00002.png", TWO[:, 1:])
    with pytest.raises(DatasetError, match=r"results/00002\.png: expected 30x20 .*truth/00002\.png, found 29x20"):
        score_sequence(truth, tmp_path / "results", binary=False)
    (tmp_path / "results" / "00001.png").unlink()
    with pytest.raises(DatasetError, match=r"results/00001\.png: expected the result mask .* found none"):
        score_sequence(truth, tmp_path / "results", binary=False)
    binary = folder(tmp_path / "binary", [(TWO > 0) * 255] * 4)
    with pytest.raises(DatasetError, match=r"binary/00000\.png: .*\[0, 255\].*--year 2016"):
        score_sequence(binary, tmp_path / "results", binary=False)
    with pytest.raises(DatasetError, match="expected label maps to score against"):
        score_sequence({}, tmp_path / "results", binary=False)


def test_two_frames_leave_nothing_to_score(tmp_path):
    truths = {name: folder(tmp_path / "truth" / name, [TWO] * frames) for name, frames in (("long", 4), ("short", 2))}
    scores = score_results(truths, tmp_path / "truth", binary=False, progress=False)
    assert "nothing was scored" in scores[1].notes[0]
    assert math.isnan(scores[1].objects[1].j_statistics.mean)
    assert global_statistics(scores)["J&F-Mean"] == 1
    assert " - " in format_table(scores)


def test_csv_files_and_table(tmp_path):
    truths = {name: folder(tmp_path / "truth" / name, [TWO] * 4) for name in ("dog", "bear")}
    for name, mask in (("dog", SHIFTED), ("bear", TWO)):
        folder(tmp_path / "results" / name, [mask] * 4)
    scores = score_results(truths, tmp_path / "results", binary=False, progress=False)
    write_csvs(tmp_path / "csv", "val", scores)
    assert sorted(path.name for path in (tmp_path / "csv").iterdir()) == [
        "global_results-val.csv", "per-sequence_results-val.csv"]
    (overall,) = rows(tmp_path / "csv" / "global_results-val.csv")
    assert list(overall) == ["J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay"]
    objects = rows(tmp_path / "csv" / "per-sequence_results-val.csv")
    assert [row["Sequence"] for row in objects] == ["dog_1", "dog_2", "bear_1", "bear_2"]
    assert objects[0]["J-Mean"] == "0.333333"
    assert float(overall["J-Mean"]) == pytest.approx(np.mean([float(row["J-Mean"]) for row in objects]), abs=1e-6)
    table = format_table(scores).splitlines()
    assert len({len(line) for line in table}) == 1
    assert [line.split()[0] for line in table if not line.startswith("-")] == ["sequence", "dog", "bear", "global"]


def test_command_guesses_the_year_and_writes_everything(tmp_path, capsys):
    for name in ("dog", "cat"):
        folder(tmp_path / "truth" / name, [(TWO > 0) * 255] * 4)
    for name in ("dog", "yak"):
        folder(tmp_path / "results" / name, [SHIFTED > 0] * 4)
    main(["--annotations", str(tmp_path / "truth"), "--results", str(tmp_path / "results"),
          "--json", str(tmp_path / "out" / "scores.json"), "--csv", str(tmp_path / "csv")])
    output, errors = capsys.readouterr()
    assert output.splitlines()[-1].startswith("global")
    for part in ("assuming --year 2016", "having no annotations: yak", "having no results: cat"):
        assert part in errors
    written = json.loads((tmp_path / "out" / "scores.json").read_text())
    dog = written["sequences"]["dog"]["objects"]["1"]
    assert written["single_object"]
    assert len(dog["J_frames"]) == len(dog["F_frames"]) == 2
    assert dog["J"][0] == written["global"]["J-Mean"]
    assert (tmp_path / "csv" / "global_results-val.csv").exists()


def test_command_prints_notes_and_takes_object_numbers(tmp_path, capsys):
    folder(tmp_path / "truth" / "dog", [TWO] * 4)
    main(["--annotations", str(tmp_path / "truth"), "--results", str(tmp_path / "truth")])
    output, errors = capsys.readouterr()
    assert "note: dog: all 2 scored masks equal the ground truth" in output
    assert "assuming --year 2017" in errors


def test_command_reports_errors_in_one_line(tmp_path, capsys):
    folder(tmp_path / "truth" / "dog", [TWO] * 4)
    folder(tmp_path / "results" / "yak", [TWO] * 4)
    for results, message in (("results", "expected folders named like those of"), ("none", "found no folder")):
        with pytest.raises(SystemExit, match="2"):
            main(["--annotations", str(tmp_path / "truth"), "--results", str(tmp_path / results)])
        output, errors = capsys.readouterr()
        assert output == ""
        assert errors.startswith("error: ")
        assert message in errors
        assert errors.count("\n") == 1


def test_command_runs_from_anywhere(tmp_path):
    folder(tmp_path / "truth" / "dog", [TWO] * 4)
    run = subprocess.run(
        [sys.executable, SCRIPT, "--annotations", "truth", "--results", "truth", "--sequences", "cow"],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "error: truth/cow: expected a folder of images, found nothing there; check the path\n"


def test_command_ends_with_one_line_when_it_is_interrupted(tmp_path, capsys, monkeypatch):
    folder(tmp_path / "truth" / "dog", [TWO] * 4)
    monkeypatch.setattr("scripts.score_results.format_table", _interrupted)
    with pytest.raises(SystemExit, match="130"):
        main(["--annotations", str(tmp_path / "truth"), "--results", str(tmp_path / "truth"), "--year", "2017"])
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted; run the same command again"


def test_command_needs_no_pytorch(tmp_path):
    folder(tmp_path / "truth" / "dog", [TWO] * 4)
    masks = str(tmp_path / "truth")
    code = ("import sys; from scripts.score_results import main; "
            f"main(['--annotations', {masks!r}, '--results', {masks!r}]); print('torch' in sys.modules)")
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPT.parents[1], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "False"


def _interrupted(*_):
    raise KeyboardInterrupt


def folder(path: Path, masks: list[np.ndarray]) -> dict[str, Path]:
    """Write masks as 00000.png and on; returns them by frame name."""
    path.mkdir(parents=True)
    files = {f"{index:05d}": path / f"{index:05d}.png" for index in range(len(masks))}
    for file, mask in zip(files.values(), masks, strict=True):
        write_labels(file, mask.astype(np.uint8))
    return files


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
