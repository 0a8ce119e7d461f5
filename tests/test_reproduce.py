"""The thesis's experiments: which runs its tables need, how long they take, and the numbers beside the printed ones."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import eval_davis
import eval_youtube
from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.synthetic import make_davis, make_youtube
from dataset.youtube import youtube_sequences
from inference.errors import RunError
from inference.memory import MemoryOptions
from inference.report.runs import read_runs
from inference.report.thesis import reference
from inference.reproduction.estimate import Estimate, beginning, duration, estimate_table, typical
from inference.reproduction.experiments import FILE, experiments_of, read_items, selected
from inference.reproduction.page import not_run
from inference.reproduction.plan import SourceOptions, make_plan
from inference.reproduction.results import UNFINISHED, UNSCORED, Results, check_names, collect
from inference.reproduction.tables import capacity_table, table_of
from inference.reproduction.work import Work
from inference.run.folder import RunFolder
from inference.runtime import RuntimeOptions
from inference.scoring.davis import GLOBAL_COLUMNS
from model.errors import CheckpointError, ConfigError
from scripts.reproduce import EVALUATIONS, main
from tests.test_report import VAL_2016, VAL_2017, fake

ITEMS = read_items()
VIDEOS = [f"{index:010x}" for index in range(507)]
RUNTIME = RuntimeOptions()


def item(kind, number):
    (found,) = (each for each in ITEMS if (each.kind, each.number) == (kind, number))
    return found


def sources(**given):
    return SourceOptions(output=Path("out"), **{name: Path(path) for name, path in given.items()})


# The YAML --------------------------------------------------------------------------------------------------------


def test_every_printed_row_has_its_run_and_every_table_is_there():
    assert [(each.kind, each.number) for each in ITEMS] == [
        *(("table", number) for number in range(1, 11)), *(("figure", number) for number in (9, 10, 11))]
    for table in ITEMS[:10]:
        printed = {(row["Data"], row["Method"]) for row in reference(table.number)}
        assert printed == {(run.data, run.method) for run in table.experiments}
    assert {run.method for run in item("figure", 11).experiments} == {
        "every 5", "first and latest", "LFU 1", "LFU 2", "LFU 4", "LFU 8"}


def test_a_run_that_several_tables_need_is_there_once():
    runs = experiments_of(ITEMS)
    assert len({run.name for run in runs}) == len(runs) == 20
    assert sum(run.name == "davis17-lfu-2" for run in runs) == 1
    assert sum(run.name == "davis17-lfu-2" for each in ITEMS for run in each.experiments) == 6


def test_numbers_select_tables_and_a_number_without_a_table_its_figure():
    assert [each.label for each in selected(ITEMS, (11, 1, 3), None)] == ["table 1", "table 3", "figure 11"]
    assert [each.label for each in selected(ITEMS, (9,), (9,))] == ["table 9", "figure 9"]
    assert selected(ITEMS, None, None) == ITEMS
    for tables, figures in (((12,), None), (None, (1,))):
        with pytest.raises(ConfigError, match=r"expected numbers of table 1, .*figure 11, found another"):
            selected(ITEMS, tables, figures)


@pytest.mark.parametrize(("change", "words"), [
    (lambda content: content["tables"][1].update(methods=["LFU 3"]), r"tables\.1\.methods: .* found 'LFU 3'"),
    (lambda content: content["methods"]["LFU 2"].update(weights="best"), r"methods\.LFU 2\.weights: expected one of"),
    (lambda content: content["data"]["DAVIS 2016 val"].pop("name"), r"DAVIS 2016 val: missing key 'name'"),
    (lambda content: content.pop("figures"), "expected data, methods, tables and figures, found data"),
])
def test_mistakes_in_the_file_are_named(change, words, tmp_path):
    content = yaml.safe_load(FILE.read_text())
    change(content)
    (tmp_path / "tables.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=words):
        read_items(tmp_path / "tables.yaml")


# The plan --------------------------------------------------------------------------------------------------------


def test_the_plan_says_which_flags_are_missing():
    plan = make_plan(ITEMS, sources(davis_root="DAVIS", weights="stcn.pth"), RUNTIME)
    assert [run.experiment.name for run in plan.runs] == [
        "davis16-every-5", "davis16-first-and-latest", "davis16-lfu-2", "davis17-every-5", "davis17-first-and-latest",
        "davis17-lfu-2", "davis17-softmax-index"]
    lacking = {run.name: reason for run, reason in plan.lacking.items()}
    assert len(lacking) == 13
    assert lacking["youtube-lfu-2"] == "no --youtube-root"
    assert lacking["davis16-dropout"] == "no --dropout-weights"
    assert lacking["youtube-reallocation"] == "no --youtube-root and no --reallocation-weights"


def test_commands_have_the_settings_of_their_methods():
    given = sources(davis_root="D", youtube_root="Y", all_frames_root="A", weights="w.pth", dropout_weights="d.pth")
    runtime = RuntimeOptions(device="cpu", precision="bf16")
    runs = {run.experiment.name: run for run in make_plan(ITEMS, given, runtime).runs}
    modules = {"eval_davis": eval_davis, "eval_youtube": eval_youtube}
    options = {
        name: modules[run.experiment.data_set.command].parser().parse(list(run.arguments))
        for name, run in runs.items()
    }
    banks = {name: parsed[MemoryOptions] for name, parsed in options.items()}
    assert banks["davis17-softmax-index"] == MemoryOptions("lfu", 2, 5, 20, "softmax")
    assert banks["youtube-lfu-8"] == MemoryOptions("lfu", 8, 5, 20)
    assert banks["davis16-dropout"] == banks["youtube-every-5"] == MemoryOptions("every_k", None, 5, 20)
    assert {parsed[RuntimeOptions] for parsed in options.values()} == {runtime}
    assert " ".join(runs["youtube-dropout"].arguments) == (
        "--youtube-root Y --zip --all-frames-root A --weights d.pth --memory every_k --memory-every 5 --top-k 20 "
        "--device cpu --precision bf16 --output out/youtube-dropout")
    assert runs["davis16-lfu-2"].arguments[:6] == ("--davis-root", "D", "--year", "2016", "--weights", "w.pth")


def test_weights_may_be_a_run_folder_of_training(tmp_path):
    given = sources(davis_root="D", dropout_weights=tmp_path)
    with pytest.raises(CheckpointError, match=r"a folder without it; check --dropout-weights"):
        make_plan([item("table", 9)], given, RUNTIME)
    (tmp_path / "network.pth").touch()
    (run,) = make_plan([item("table", 9)], given, RUNTIME).runs
    assert str(tmp_path / "network.pth") in run.arguments


def test_a_plan_without_a_run_is_refused():
    with pytest.raises(RunError, match="table 2: expected the data and the weights of one run at least, found no "
                                       "--youtube-root; give these flags"):
        make_plan([item("table", 2)], sources(davis_root="D", weights="w.pth"), RUNTIME)


# The time --------------------------------------------------------------------------------------------------------


def test_time_is_what_is_left_divided_among_the_processes():
    table = estimate_table([Estimate("a", 200, 100, 72.0), Estimate("b", 50, 0, 0.0)], processes=2)
    assert table.rows == [
        ["a", "200", "100", "72.00", "1 h 00 min"], ["b", "50", "0", "", "0 s"],
        ["together", "250", "100", "", "1 h 00 min"]]
    assert [duration(seconds) for seconds in (29, 31, 3599, 7530)] == ["29 s", "1 min", "1 h 00 min", "2 h 06 min"]


def test_the_sample_is_typical_and_begins_with_its_first_mask(tmp_path):
    make_davis(tmp_path / "DAVIS", {"val": 3}, 5, (48, 64), objects=2, progress=False)
    first, *others = davis_sequences(tmp_path / "DAVIS", 2017)
    assert typical([replace(first, binary=True), *others]).name in {each.name for each in others}
    begun = beginning(first, 3)
    assert begun.frame_names == list(begun.ground_truth) == ["00000", "00001", "00002"]
    make_youtube(tmp_path / "YouTube", {"valid": 1}, 11, (48, 64), progress=False)
    (video,) = youtube_sequences(tmp_path / "YouTube/valid")
    late = replace(video, annotations={"00005": video.annotations["00000"]})
    assert beginning(late, 2).frame_names == ["00005", "00006"]


# The tables ------------------------------------------------------------------------------------------------------


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


def test_scores_of_unknown_runs_are_refused():
    check_names(["youtube-lfu-2"], ["youtube-lfu-2", "youtube-every-5"], Path("scores.csv"))
    with pytest.raises(DatasetError, match=r"scores.csv: run lfu2: expected the name of a run \(youtube-lfu-2\)"):
        check_names(["lfu2"], ["youtube-lfu-2"], Path("scores.csv"))


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
        found = collect(plan, [work], file)
        assert rows_of(table_of(plan.items[0], found), "YouTube-VOS valid", "LFU 2", "ours") == [numbers]
        assert [reason for run, reason in found.reasons.items() if run.method == "LFU 2"] == [UNSCORED] * (not file)


@pytest.mark.parametrize("lost", [f"Annotations/{VIDEOS[1]}", f".records/{VIDEOS[0]}.json", "submission.zip"])
def test_a_run_is_complete_with_all_its_parts(lost, unscored):
    plan, work = unscored
    assert work.complete
    path = work.run.folder / lost
    path.rmdir() if path.is_dir() else path.unlink()
    assert not work.complete
    assert list(collect(plan, [work], None).reasons.values()) == [UNFINISHED]


def test_a_run_over_fewer_sequences_is_not_complete(unscored):
    _, work = unscored
    more = FolderSequence("0000000002", [Path("00000.jpg")], {})
    (work.run.folder / "Annotations/0000000002").mkdir()
    (work.run.folder / ".records/0000000002.json").touch()
    assert not replace(work, sequences=[*work.sequences, more]).complete


# The command -----------------------------------------------------------------------------------------------------


def test_a_folder_of_another_run_is_refused_before_any_work(tmp_path, weights, refused, monkeypatch):
    make_davis(tmp_path / "DAVIS", {"val": 1}, 3, (32, 48), progress=False)
    eval_davis.main(["--davis-root", str(tmp_path / "DAVIS"), "--weights", str(weights), "--device", "cpu",
                     "--memory", "lfu", "--memory-frames", "3", "--output", str(tmp_path / "out/davis17-lfu-2")])
    monkeypatch.setattr("scripts.reproduce.estimate", None)
    with refused(r"davis17-lfu-2/run.json: expected memory_frames=2 as in this command, found 3; choose another "
                 r"--output, or remove .*davis17-lfu-2$"):
        main(["--davis-root", str(tmp_path / "DAVIS"), "--weights", str(weights), "--device", "cpu",
              "--table", "7", "--output", str(tmp_path / "out")])


def test_the_plan_writes_nothing(tmp_path, weights, capsys):
    make_davis(tmp_path / "DAVIS", {"val": 1}, 3, (32, 48), progress=False)
    main(["--davis-root", str(tmp_path / "DAVIS"), "--weights", str(weights), "--device", "cpu", "--table", "7", "2",
          "--output", str(tmp_path / "out"), "--plan"])
    printed = capsys.readouterr().out
    assert "| davis17-lfu-2 |      3 |     3 |" in printed
    assert "| youtube-every-5          | table 2   | no --youtube-root |" in printed
    assert not (tmp_path / "out").exists()
    assert set(EVALUATIONS) == {run.data_set.command for run in experiments_of(ITEMS)}
