"""The thesis's experiments: which runs its tables need, what they are called with, and how long they take."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import eval_davis
import eval_youtube
from dataset.davis import davis_sequences
from dataset.synthetic import make_davis, make_youtube
from dataset.youtube import youtube_sequences
from inference.errors import RunError
from inference.memory import MemoryOptions
from inference.report.thesis import reference
from inference.reproduction.estimate import Estimate, beginning, duration, estimate_table, typical
from inference.reproduction.experiments import FILE, experiments_of, read_items, selected
from inference.reproduction.plan import SourceOptions, make_plan
from inference.reproduction.results import UNFINISHED
from inference.runtime import RuntimeOptions
from model.errors import CheckpointError, ConfigError
from scripts.reproduce import EVALUATIONS, main

ITEMS = read_items()
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
        "--youtube-root Y --resize stcn --zip --all-frames-root A --weights d.pth --memory every_k "
        "--memory-every 5 --top-k 20 --device cpu --precision bf16 --output out/youtube-dropout")
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


def test_a_page_without_runs_and_without_the_data_of_a_year(tmp_path, weights, capsys):
    make_davis(tmp_path / "DAVIS", {"val": 1}, 3, (32, 48), progress=False)
    main(["--davis-root", str(tmp_path / "DAVIS"), "--weights", str(weights), "--device", "cpu", "--table", "1",
          "--figure", "9", "11", "--output", str(tmp_path / "out"), "--page"])
    page = (tmp_path / "out/reproduction.md").read_text()
    reasons = dict(re.findall(r"^\| (davis\S+|youtube\S+) +\| .*? \| (.*?) +\|$", page, re.MULTILINE))
    assert len(reasons) == 12
    assert reasons["davis17-lfu-2"] == UNFINISHED
    assert re.search(r"2016/val.txt: expected the list of split val, found 2017/val.txt", reasons["davis16-lfu-2"])
    assert reasons["youtube-lfu-4"] == "no --youtube-root"
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == []
    assert "eval_davis.py" in page
    assert "--year 2016" not in page


def test_data_that_are_nowhere_and_a_file_for_the_page_are_refused(tmp_path, weights, refused):
    with refused("tiny.pth: expected a folder for the runs and the page, found a file; choose another"):
        main(["--davis-root", str(tmp_path), "--weights", str(weights), "--output", str(weights)])
    with refused("nowhere: expected the DAVIS folder .*check --davis-root"):
        main(["--davis-root", str(tmp_path / "nowhere"), "--weights", str(weights), "--output", str(tmp_path / "out")])
