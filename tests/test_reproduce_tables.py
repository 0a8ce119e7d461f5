"""The numbers of a reproduction beside the printed ones: differences, notes, what is missing, scores of a server."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

import eval_youtube
from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from inference.report.runs import read_runs
from inference.reproduction.experiments import experiments_of
from inference.reproduction.page import not_run
from inference.reproduction.plan import SourceOptions, make_plan
from inference.reproduction.results import UNFINISHED, UNSCORED, Results, collect, scores_of
from inference.reproduction.tables import capacity_table, table_of
from inference.reproduction.work import Work
from inference.run.folder import RunFolder
from inference.scoring.davis import GLOBAL_COLUMNS
from tests.test_report import VAL_2016, VAL_2017, fake
from tests.test_reproduce import ITEMS, RUNTIME, item

VIDEOS = [f"{index:010x}" for index in range(507)]


def results(tmp_path, runs, reasons=None):
    """Runs of nothing but run.json: (data, method) -> sequences, scores and settings."""
    experiments = {(each.data, each.method): each for each in experiments_of(ITEMS)}
    found = {}
    for key, (sequences, scores, settings) in runs.items():
        experiment = experiments[key]
        folder = tmp_path / experiment.name
        fake(folder, sequences, scores, command=experiment.data_set.command, **settings)
        if objects := settings.get("objects"):
            with open(folder / "per-sequence_results-val.csv", "w", newline="") as file:
                csv.writer(file).writerows([("Sequence", "J-Mean", "F-Mean"), *objects])
        (found[experiment],) = read_runs([folder])
    return Results(found, {experiments[key]: reason for key, reason in (reasons or {}).items()})


def rows_of(table, *beginning):
    return [row[len(beginning):] for row in table.rows if row[:len(beginning)] == list(beginning)]


def test_a_whole_set_has_differences_and_other_data_has_none(tmp_path):
    scores = dict(zip(GLOBAL_COLUMNS, (0.901, 0.912, 0.5, 0.04, 0.89, 0.6, -0.01), strict=True))
    found = results(tmp_path, {
        ("DAVIS 2016 val", "every 5"): (VAL_2016, scores, {"memory": "every_k", "year": 2016}),
        ("DAVIS 2016 val", "LFU 2"): (VAL_2016[:3], scores, {"memory": "lfu", "year": 2016}),
    }, {("DAVIS 2017 val", "every 5"): "no --davis-root"})
    table = table_of(item("table", 1), found)
    assert rows_of(table, "DAVIS 2016 val", "every 5") == [
        ["ours", "90.1", "91.2", "50.0", "4.0", "89.0", "60.0", "-1.0"],
        ["thesis", "91.7", "90.4", "98.1", "4.1", "93.0", "97.1", "4.3"],
        ["difference", "-1.6", "+0.8", "-48.1", "-0.1", "-4.0", "-37.1", "-5.3"]]
    assert rows_of(table, "DAVIS 2016 val", "LFU 2", "difference") == [[""] * 7]
    assert rows_of(table, "DAVIS 2017 val", "every 5", "ours") == [[""] * 7]
    assert table.notes == (
        "DAVIS 2016 val: LFU 2: other data than the thesis's (sequences: 3, of which 3 are among the thesis's 20).",
        "DAVIS 2017 val: every 5: no --davis-root.")


def test_values_with_an_erratum_have_a_star_and_no_difference(tmp_path):
    scores = dict.fromkeys(GLOBAL_COLUMNS, 0.8)
    table = table_of(item("table", 5), results(tmp_path, {
        ("DAVIS 2017 val", "dropout"): (VAL_2017, scores, {"memory": "every_k"})}))
    assert [row[1:3] for row in rows_of(table, "DAVIS 2017 val", "dropout")] == [
        ["80.0", "80.0"], ["81.6*", "79.1"], ["", "+0.9"]]
    assert table.notes[-1].startswith("\\* Erratum, DAVIS 2017 val, dropout: J&F-Mean: 82.3")


def test_youtube_has_its_own_columns_and_in_table_4_those_of_davis(tmp_path):
    scores = {"J&F": 0.75, "J-seen": 0.8, "J-unseen": 0.6, "F-seen": 0.9, "F-unseen": 0.7}
    found = results(tmp_path, {
        ("YouTube-VOS valid", "LFU 2"): (VIDEOS, scores, {"memory": "lfu", "all_frames_root": None}),
        ("YouTube-VOS valid", "first and latest"): (VIDEOS, {}, {"memory": "first_and_latest"}),
    }, {("YouTube-VOS valid", "first and latest"): UNSCORED})
    table = table_of(item("table", 2), found)
    assert rows_of(table, "YouTube-VOS valid", "LFU 2") == [
        ["ours", "75.0", "80.0", "60.0", "90.0", "70.0"], ["thesis", "81.1", "80.3", "76.1", "84.3", "83.8"],
        ["difference", "-6.1", "-0.3", "-16.1", "+5.7", "-13.8"]]
    assert rows_of(table, "YouTube-VOS valid", "first and latest", "ours") == [[""] * 5]
    assert any("--server-scores" in note for note in table.notes)
    assert any("LFU 2: not the thesis's protocol: without the frames between" in note for note in table.notes)
    assert rows_of(table_of(item("table", 4), found), "YouTube-VOS valid", "LFU 2") == [
        ["ours", "75.0", "70.0", "80.0"], ["thesis", "81.1", "78.2", "84.0"], ["difference", "-6.1", "-8.2", "-4.0"]]
    figure = capacity_table(item("figure", 11), found)
    assert figure.rows[3] == ["LFU 2", "4.0", "75.0", "81.1", "-6.1"]
    assert [row[2:] for row in figure.rows[:3]] == [["", "84.1", ""], ["", "80.5", ""], ["", "", ""]]


def test_speeds_are_compared_as_in_the_text_of_the_thesis(tmp_path):
    scores = dict.fromkeys(GLOBAL_COLUMNS, 0.8)
    found = results(tmp_path, {
        ("DAVIS 2017 val", method): (VAL_2017, scores, {"memory": memory})
        for method, memory in (("every 5", "every_k"), ("first and latest", "first_and_latest"), ("LFU 2", "lfu"))
    })
    runs = {run: replace(each, totals=each.totals | {"fps": {"every 5": 10.0, "LFU 2": 12.0}.get(run.method, 16.0)})
            for run, each in found.runs.items()}
    table = table_of(item("table", 3), Results(runs, {}))
    assert rows_of(table, "DAVIS 2017 val", "LFU 2") == [["ours", "12.0", "4.0"], ["thesis", "11.4", "2.0"],
                                                         ["difference", "+0.6", "+2.0"]]
    assert table.notes[-1] == ("LFU 2 is 20 % faster than every 5 (thesis: 81 % faster); 25 % slower than first and "
                               "latest (thesis: 36 % faster).")


def test_objects_that_a_run_and_the_thesis_share(tmp_path):
    objects = [("bear_1", 0.1, 0.1), ("blackswan_1", 0.9, 0.8), ("dog_1", 0.7, 0.95)]
    scores = dict.fromkeys(GLOBAL_COLUMNS, 0.8)
    table = table_of(item("table", 9), results(
        tmp_path, {("DAVIS 2016 val", "dropout"): (
            ["bear", "blackswan", "dog"], scores, {"memory": "every_k", "year": 2016, "objects": objects})},
        {("DAVIS 2016 val", "reallocation"): "no --reallocation-weights"}))
    assert table.rows == [
        ["dropout", "blackswan_1", "0.900", "0.961", "-0.061", "0.800", "0.996", "-0.196"],
        ["dropout", "dog_1", "0.700", "0.942", "-0.242", "0.950", "0.985", "-0.035"],
        ["dropout", "mean of 2", "0.800", "0.952", "-0.151", "0.875", "0.990", "-0.115"]]
    assert table.notes == (
        "DAVIS 2016 val: dropout: other data than the thesis's (sequences: 3, of which 2 are among the thesis's 20).",
        "DAVIS 2016 val: reallocation: no --reallocation-weights.",
        "dropout: 2 of the table's 20 rows, those that the run has; both means are over these.")


def test_what_is_missing_names_the_tables_that_need_it(tmp_path):
    found = results(tmp_path, {}, {("YouTube-VOS valid", "LFU 2"): "no --youtube-root"})
    lines = "\n".join(not_run(ITEMS, found))
    assert "| youtube-lfu-2 | table 2, table 4, figure 11 | no --youtube-root |" in lines
    assert not_run(ITEMS, Results({}, {})) == []


@pytest.mark.parametrize("name", ["lfu2", "davis17-lfu-2"])
def test_scores_of_unknown_runs_are_refused(name, tmp_path):
    (tmp_path / "scores.csv").write_text(f"run,overall,j_seen,f_seen,j_unseen,f_unseen\n{name},0.7,0.7,0.7,0.7,0.7\n")
    with pytest.raises(DatasetError, match=rf"scores.csv: run {name}: expected the folder of a run .*youtube-lfu-2"):
        scores_of(tmp_path / "scores.csv", ITEMS)


@pytest.fixture
def unscored(tmp_path):
    """A plan of table 2 and its one finished run, which has masks and an archive, but no scores."""
    plan = make_plan([item("table", 2)], SourceOptions(tmp_path, youtube_root=tmp_path, weights=Path("w")), RUNTIME)
    run = next(run for run in plan.runs if run.experiment.method == "LFU 2")
    fake(run.folder, VIDEOS[:2], {}, command="eval_youtube", memory="lfu")
    for name in VIDEOS[:2]:
        (run.folder / "Annotations" / name).mkdir(parents=True)
        (run.folder / ".records").mkdir(exist_ok=True)
        (run.folder / f".records/{name}.json").touch()
    (run.folder / "submission.zip").touch()
    videos = [FolderSequence(name, [Path("00000.jpg")], {}) for name in VIDEOS[:2]]
    return plan, Work(run, eval_youtube, None, videos, RunFolder(run.folder, {}, {}, "Annotations"))


def test_scores_of_the_server_come_into_the_table(unscored, tmp_path):
    plan, work = unscored
    (tmp_path / "scores.csv").write_text(
        "run,overall,j_seen,f_seen,j_unseen,f_unseen\nyoutube-lfu-2,0.75,0.8,0.9,0.6,0.7\n")
    for file, numbers in ((None, [""] * 5), (tmp_path / "scores.csv", ["75.0", "80.0", "60.0", "90.0", "70.0"])):
        found = collect(plan, [work], scores_of(file, ITEMS))
        assert rows_of(table_of(plan.items[0], found), "YouTube-VOS valid", "LFU 2", "ours") == [numbers]
        assert [reason for run, reason in found.reasons.items() if run.method == "LFU 2"] == [UNSCORED] * (not file)


@pytest.mark.parametrize("lost", [f"Annotations/{VIDEOS[1]}", f".records/{VIDEOS[0]}.json", "submission.zip"])
def test_a_run_is_complete_with_all_its_parts(lost, unscored):
    plan, work = unscored
    assert work.complete
    path = work.run.folder / lost
    path.rmdir() if path.is_dir() else path.unlink()
    assert not work.complete
    assert list(collect(plan, [work], scores_of(None, ITEMS)).reasons.values()) == [UNFINISHED]


def test_a_run_over_fewer_sequences_is_not_complete(unscored):
    _, work = unscored
    more = FolderSequence("0000000002", [Path("00000.jpg")], {})
    (work.run.folder / "Annotations/0000000002").mkdir()
    (work.run.folder / ".records/0000000002.json").touch()
    assert not replace(work, sequences=[*work.sequences, more]).complete
