"""The report: the thesis's numbers as transcribed, what is put beside them and what never is, pages and errors."""

import csv
import json
import math
from statistics import mean

import numpy as np
import pytest

from dataset.davis import davis_sequences
from dataset.masks import read_image, write_image, write_labels
from inference.report.intervals import paired_interval
from inference.report.runs import read_runs
from inference.report.thesis import REFERENCE, coverage, reference, thesis_tables
from inference.scoring.davis import GLOBAL_COLUMNS, global_statistics, score_results, write_csvs
from scripts.report import main

DAVIS_2016 = {"every_k": 0, "first_and_latest": 2, "lfu": 1}          # bank -> pixels its masks are off
VAL_2016 = [row["Sequence"].rpartition("_")[0] for row in reference(8)]
VAL_2017 = list(dict.fromkeys(row["Sequence"].rpartition("_")[0] for row in reference(7)))


def test_means_per_object_reproduce_the_printed_means():
    printed = {(row["Data"], row["Method"]): row for table in (1, 5) for row in reference(table)}
    groups = {(table, row["Data"], row["Method"]) for table in (7, 8, 9, 10) for row in reference(table)}
    assert len(groups) == 6
    for table, data, method in groups:
        rows = [row for row in reference(table) if row["Method"] == method]
        assert len({row["Sequence"] for row in rows}) == len(rows) == (61 if data == "DAVIS 2017 val" else 20)
        for column in ("J-Mean", "F-Mean"):
            found = 100 * mean(float(row[column]) for row in rows)
            assert found == pytest.approx(float(printed[data, method][column]), abs=0.1), (table, method, column)
    assert (len(VAL_2016), len(VAL_2017)) == (20, 30)
    assert set(VAL_2016) <= set(VAL_2017)


@pytest.mark.parametrize("table", [1, 2, 4, 5, 6])
def test_printed_totals_are_the_means_of_their_parts_but_for_the_errata(table):
    for row in reference(table):
        total, parts = ("J&F-Mean", ("J-Mean", "F-Mean")) if "J-Mean" in row else (
            "J&F", ("J-seen", "J-unseen", "F-seen", "F-unseen"))
        off = abs(mean(float(row[part]) for part in parts) - float(row[total]))
        assert bool(row["Erratum"]) == (off > 0.11), row


def test_reference_columns_are_official():
    assert tuple(reference(1)[0])[2:-1] == tuple(reference(5)[0])[2:-1] == GLOBAL_COLUMNS
    assert len(list(REFERENCE.glob("table*.csv"))) == 10


def test_whole_sets_fill_the_summary_tables(tmp_path):
    scores = {column: 0.9 for column in GLOBAL_COLUMNS}
    folders = [
        fake(tmp_path / "every5", VAL_2017, scores, memory="every_k"),
        fake(tmp_path / "lfu", VAL_2017, scores, memory="lfu"),
        fake(tmp_path / "softmax", VAL_2017, scores, memory="lfu", index="softmax"),
        fake(tmp_path / "dropout", VAL_2017, scores, memory="every_k"),
        fake(tmp_path / "lfu4", VAL_2017, scores, memory="lfu", memory_frames=4),
        fake(tmp_path / "flipped", VAL_2017, scores, memory="every_k", flip=True),
    ]
    tables = {table.name: table for table in thesis_tables(read_runs(folders))}
    assert list(tables) == ["table01", "table03", "table04", "table05"]
    assert [row[1:4] for row in tables["table01"].rows] == [
        ["every-5 (every5)", "measured", "90.0"], ["every-5 (every5)", "thesis", "85.3"],
        ["every-5 (every5)", "difference", "+4.7"], ["LFU, 2 frames", "measured", "90.0"],
        ["LFU, 2 frames", "thesis", "84.4"], ["LFU, 2 frames", "difference", "+5.6"],
    ]
    assert tables["table03"].rows[2] == ["DAVIS 2017 val", "every-5 (every5)", "difference", "+1.7", "-3.0"]
    softmax = [row for row in tables["table04"].rows if "softmax" in row[1]]
    assert [row[3] for row in softmax] == ["90.0", "83.0*", ""]
    assert "Erratum, DAVIS 2017 val, softmax index" in tables["table04"].markdown()
    dropout = [row for row in tables["table05"].rows if "dropout" in row[1]]
    assert [row[3:5] for row in dropout] == [["90.0", "90.0"], ["81.6*", "79.1"], ["", "+10.9"]]
    assert "also trained on BL30K" in tables["table05"].notes[0]


def test_youtube_runs_with_and_without_scores(tmp_path):
    videos = [f"{index:010x}" for index in range(507)]
    scores = {"J&F": 0.8, "J-seen": 0.8, "J-unseen": 0.7, "F-seen": 0.9, "F-unseen": float("nan")}
    folders = [
        fake(tmp_path / "every5", videos, scores, command="eval_youtube", memory="every_k"),
        fake(tmp_path / "lfu", videos, {}, command="eval_youtube", memory="lfu"),
        fake(tmp_path / "few", videos[:3], scores, command="eval_youtube", memory="first_and_latest"),
    ]
    (table,) = thesis_tables(read_runs(folders))
    assert [row[3:] for row in table.rows] == [
        ["80.0", "80.0", "70.0", "90.0", ""], ["84.1", "82.6", "79.3", "86.9", "87.6"],
        ["-4.1", "-2.6", "-9.3", "+3.1", ""],
    ]
    main([*map(str, folders), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    assert "| LFU, 2 frames    |    - |" in page
    assert "every-5: 507, LFU, 2 frames: 507, first-and-latest: 3" in page
    assert "## Pictures" not in page


def test_a_page_of_some_sequences_of_davis_2016(tmp_path, davis, runs):
    main([*map(str, runs), "--davis-root", str(davis), "--label", f"{runs[0]}=plain", "--title", "Three banks",
          "--sequences", "dog", "--frames", "1", "4", "--output", str(tmp_path / "out/page.md")])
    page = (tmp_path / "out/page.md").read_text()
    for part in (
        "# Three banks", "Data in the layout of DAVIS 2016 val: 2 sequences, 12 frames", "| plain ",
        "| first mask copied ",
        "![J&F over capacity](page-capacity.png)", "### Differences per sequence (J&F minus that of plain)",
        "2 of the 20 sequences of DAVIS 2016 val", "2 of the table's 20 rows", "![dog](page-dog.jpg)",
    ):
        assert part in page, part
    assert "Table 1:" not in page
    rows = list(csv.reader((tmp_path / "out/page-table08-lfu.csv").read_text().splitlines()))
    assert [(row[0], row[2], row[5]) for row in rows[1:]] == [
        ("blackswan_1", "0.962", "0.990"), ("dog_1", "0.958", "0.986"), ("mean of 2", "0.960", "0.988")]
    for row in rows[1:]:
        assert float(row[3]) == pytest.approx(float(row[1]) - float(row[2]), abs=0.0011)
    differences = list(csv.reader((tmp_path / "out/page-differences.csv").read_text().splitlines()))
    assert differences[0] == ["sequence", "first-and-latest", "LFU, 2 frames"]
    assert all(float(a) < float(b) < 0 for _, a, b in differences[1:])
    mean_row, low, high = differences[3:]
    assert [low[0], high[0]] == ["its 95% interval: from", "to"]
    assert low[1:] == mean_row[1:] == high[1:]             # both sequences differ by the same
    height, width = read_image(tmp_path / "out/page-dog.jpg").shape[:2]
    assert (width > 2 * 0.9 * 4 * 150, height > width) == (True, True)          # two frames across, four rows
    assert not (tmp_path / "out/page-blackswan.jpg").exists()


def test_two_data_sets_on_one_page_without_pictures(tmp_path, runs):
    other = fake(tmp_path / "lfu", VAL_2017, dict.fromkeys(GLOBAL_COLUMNS, 0.8), memory="lfu")
    main([str(runs[2]), str(other), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    for part in ("## DAVIS 2016 val", "## DAVIS 2017 val", "### Table 1: ", "### Table 8: "):
        assert part in page, part
    assert (tmp_path / "page-davis-2016-val-banks.csv").exists()


def test_other_data_is_never_put_beside_the_thesis(tmp_path):
    scores = dict.fromkeys(GLOBAL_COLUMNS, 0.9)
    folders = [
        fake(tmp_path / "miniature", [f"clip-{i:03d}" for i in range(30)], scores, memory="lfu"),
        fake(tmp_path / "train", VAL_2017, scores, memory="lfu", split="train"),
        fake(tmp_path / "large", VAL_2017, scores, memory="lfu", resolution="Full-Resolution"),
        fake(tmp_path / "clips", [f"clip-{i:03d}" for i in range(507)], {"J&F": 0.9}, command="eval_youtube",
             memory="lfu"),
    ]
    (tmp_path / "miniature/per-sequence_results-val.csv").write_text("Sequence,J-Mean,F-Mean\nclip-000_1,0.9,0.9\n")
    found = read_runs(folders)
    assert thesis_tables(found) == coverage(found) == []
    main([*map(str, folders), "--output", str(tmp_path / "page.md")])
    assert "thesis" not in (tmp_path / "page.md").read_text().lower()


@pytest.mark.parametrize(("arguments", "message"), [
    (["{none}"], r"none/run.json: expected the record of a run, found none"),
    (["{unscored}"], r"unscored/run.json: expected a finished, scored run, found"),
    (["{lfu}", "{lfu}"], r"lfu: expected each run under its own name, found 2 named"),
    (["{lfu}", "--label", "other=x"], r"--label other=x: expected RUN=NAME with one of the run folders"),
    (["{lfu}", "--frames", "3"], r"--frames, --sequences: expected --davis-root"),
    (["{lfu}", "--davis-root", "{davis}", "--year", "2017"], r"expected runs of DAVIS 2017, found DAVIS 2016 val"),
    (["{lfu}", "--davis-root", "{davis}", "--frames", "77"], r"blackswan: expected frame 77 .*found frames 0 to 5"),
])
def test_errors_are_one_line(arguments, message, tmp_path, davis, runs, refused):
    fake(tmp_path / "unscored", ["dog"], {}, memory="lfu")
    places = {"none": tmp_path / "none", "unscored": tmp_path / "unscored", "lfu": runs[2], "davis": davis}
    with refused(message, alone=True):
        main([*(text.format(**places) for text in arguments), "--output", str(tmp_path / "page.md")])
    assert not (tmp_path / "page.md").exists()


def fake(folder, sequences, scores, **settings):
    """A run folder of nothing but run.json; each sequence has the scores of the whole."""
    command = settings.get("command", "eval_davis")
    settings = {
        "command": command, "year": 2017, "split": "val", "resolution": "480p", "memory_frames": None,
        "memory_every": 5, "top_k": 20, "index": "topk", "include_last": False, "protect_first": False,
    } | settings
    if command == "eval_youtube":
        settings = {key: value for key, value in settings.items() if key not in ("year", "split", "resolution")}
    content = {
        "settings": settings, "sequences": {name: {} for name in sequences}, "scores": scores,
        "totals": {"frames": 12, "fps": 8.0, "frames_held_mean": 4.0, "frames_held_peak": 5.0},
    }
    if command == "eval_davis" and scores:
        content["scores_per_sequence"] = {name: scores for name in sequences}
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    """Two sequences of six frames under names of DAVIS 2016 val: a square that moves."""
    root = tmp_path_factory.mktemp("DAVIS")
    for name in ("blackswan", "dog"):
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / "480p" / name).mkdir(parents=True)
        for index in range(6):
            write_image(root / "JPEGImages/480p" / name / f"{index:05d}.png", np.full((60, 90, 3), 90, np.uint8))
            write_labels(root / "Annotations/480p" / name / f"{index:05d}.png", 255 * square(index))
    (root / "ImageSets/2016").mkdir(parents=True)
    (root / "ImageSets/2016/val.txt").write_text("blackswan\ndog\n")
    return root


@pytest.fixture(scope="module")
def runs(davis, tmp_path_factory):
    """A scored run folder with masks for every bank of DAVIS_2016."""
    parent, sequences = tmp_path_factory.mktemp("runs"), davis_sequences(davis, 2016)
    folders = []
    for memory, off in DAVIS_2016.items():
        folder = fake(parent / memory, [s.name for s in sequences], {"J&F-Mean": 0}, memory=memory, year=2016)
        for sequence in sequences:
            (folder / sequence.name).mkdir()
            for index, name in enumerate(sequence.frame_names):
                write_labels(folder / sequence.name / f"{name}.png", np.roll(square(index), off, axis=1))
        scores = score_results({s.name: s.ground_truth for s in sequences}, folder, binary=True, progress=False)
        write_csvs(folder, "val", scores)
        content = json.loads((folder / "run.json").read_text())
        content["scores"] = global_statistics(scores)
        content["scores_per_sequence"] = {scored.sequence: global_statistics([scored]) for scored in scores}
        (folder / "run.json").write_text(json.dumps(content))
        folders.append(folder)
    return folders


def square(index):
    labels = np.zeros((60, 90), np.uint8)
    labels[20:40, 10 + 5 * index:30 + 5 * index] = 1
    return labels


def test_the_interval_of_a_mean_difference():
    assert paired_interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3))
    low, high = paired_interval([float(number) for number in np.random.default_rng(1).normal(0.5, 2.0, 100)])
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.2, 0.5 + 1.96 * 0.2), abs=0.25)
    assert paired_interval([0.1, math.nan, 0.2]) == paired_interval([0.1, 0.2])
    assert all(map(math.isnan, paired_interval([0.1, math.nan])))
