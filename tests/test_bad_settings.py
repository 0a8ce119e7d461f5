"""Invalid settings: misspelt keys and flags, settings of another run, data that do not belong together."""

import importlib
import json

import pytest
import yaml

import train
from dataset.synthetic import make_davis, make_static
from inference.scoring.davis import GLOBAL_COLUMNS
from model import STCN
from model.config import ConfigError
from model.training.config import check_same_run
from scripts import check_dataset, report
from scripts.arguments import CommandParser
from tests.odd import davis, write_clip
from tests.test_bad_weights import TINY_YAML

EVALUATIONS = ("eval_davis", "eval_youtube", "eval_folder", "scripts.segment_video", "scripts.ablate",
               "scripts.reproduce")
OTHERS = ("train", "scripts.benchmark", "scripts.check_dataset", "scripts.convert_checkpoint", "scripts.explain",
          "scripts.make_synthetic", "scripts.policy_lab", "scripts.prepare_static", "scripts.prepare_youtube",
          "scripts.quickstart_plan", "scripts.report", "scripts.show_masks", "scripts.score_long",
          "scripts.score_results")


# Keys and flags --------------------------------------------------------------------------------------------------


@pytest.fixture
def stage(tmp_path):
    """A YAML of a tiny stage; change it, write it, train it."""
    make_static(tmp_path / "static", images=2, size=(48, 64), progress=False)
    sources = [{"layout": "pairs", "root": str(tmp_path / "static")}]
    return {
        "network": dict(TINY_YAML), "data": {"crop": 48, "sources": sources},
        "training": {"iterations": 2, "batch_size": 1, "workers": 0, "pretrained": False, "save_every": 1},
    }


def train_stage(stage, folder, *more):
    (folder / "stage.yaml").write_text(yaml.safe_dump(stage))
    train.main(["--config", str(folder / "stage.yaml"), "--output", str(folder / "run"), "--device", "cpu", *more])


@pytest.mark.parametrize(("section", "key", "words"), [
    (None, "trainig", r"stage\.yaml: unknown key 'trainig'; did you mean 'training'"),
    ("training", "learning_rat", r"stage\.yaml\.training: unknown key 'learning_rat'"),
    ("training", "precison", "unknown key 'precison'; did you mean 'precision'"),
    ("network", "key_dims", r"stage\.yaml\.network: unknown key 'key_dims'; did you mean 'key_dim'"),
    ("data", "crops", r"stage\.yaml\.data: unknown key 'crops'; did you mean 'crop'"),
    ("objective", "bootstrap", r"stage\.yaml\.objective: unknown key 'bootstrap'; did you mean 'bootstrap_"),
    ("validation", "davis_rot", r"stage\.yaml\.validation: unknown key 'davis_rot'; did you mean 'davis_root'"),
])
def test_a_misspelt_key_is_named_with_the_nearest(section, key, words, stage, tmp_path, refused):
    with refused(words):
        train_stage(stage, tmp_path, "--set", f"{f'{section}.' if section else ''}{key}=1")
    (stage if section is None else stage.setdefault(section, {}))[key] = 1
    with refused(words):
        train_stage(stage, tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_misspelt_key_of_a_data_source_is_named(stage, tmp_path, refused):
    stage["data"]["sources"][0]["repaet"] = 5
    with refused(r"data\.sources\[0\]: unknown key 'repaet'; did you mean 'repeat'"):
        train_stage(stage, tmp_path)


def test_an_evaluations_misspelt_key_is_named_with_the_nearest(weights, tmp_path, refused):
    write_clip(tmp_path)
    for key, nearest in (("memori", "memory"), ("top_kk", "top_k"), ("memory-frame", "memory_frames")):
        (tmp_path / "flags.yaml").write_text(f"{key}: 1\n")
        with refused(rf"flags\.yaml: unknown key '{key}'; did you mean '{nearest}'\?"):
            davis(tmp_path, weights, "--config", str(tmp_path / "flags.yaml"))
    (tmp_path / "flags.yaml").write_text("memory: lifo\n")
    with refused(r"flags\.yaml\.memory: expected one of afb, .*, found 'lifo'"):
        davis(tmp_path, weights, "--config", str(tmp_path / "flags.yaml"))
    (tmp_path / "flags.yaml").write_text("memory: [lfu\n")
    with refused(r"flags\.yaml: not valid YAML"):
        davis(tmp_path, weights, "--config", str(tmp_path / "flags.yaml"))
    with refused(r"nowhere\.yaml: expected a YAML file"):
        davis(tmp_path, weights, "--config", "nowhere.yaml")


@pytest.mark.parametrize("command", [*EVALUATIONS, *OTHERS])
def test_flags_cannot_be_abbreviated(command):
    """An abbreviation that works today could mean another flag tomorrow."""
    parser = importlib.import_module(command).parser()
    assert isinstance(parser, CommandParser)
    assert not parser.allow_abbrev


def test_an_abbreviated_flag_is_an_error(capsys):
    for command in ("eval_davis", "scripts.policy_lab"):
        with pytest.raises(SystemExit, match="2"):
            importlib.import_module(command).parser().parse_args(["--hel"])
    assert "--help" not in capsys.readouterr().out


# Another run's settings ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_resume_keeps_the_settings_of_the_run(stage, tmp_path, refused, capsys):
    train_stage(stage, tmp_path)
    with refused(
        r"run/config\.yaml: expected the settings of the run to resume, found data\.crop=64 instead of 48, "
        r"training\.lr=0\.01 instead of 1e-05; use its settings, or choose another --output",
        "iterations may be raised",
    ):
        train_stage(stage, tmp_path, "--resume", "auto", "--set", "training.lr=0.01", "data.crop=64")
    with refused(r"training\.iterations=1 instead of 2"):
        train_stage(stage, tmp_path, "--resume", "auto", "--set", "training.iterations=1")
    train_stage(stage, tmp_path, "--resume", "auto", "--set", "training.iterations=3", "training.log_every=1",
                "training.save_every=2", "training.keep_checkpoints=1", "training.picture_every=7",
                "training.precision=bf16")
    assert "resumed" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["iteration_0000003.pth"]
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["training"]["iterations"] == 3


def test_data_may_have_moved_but_not_changed(tmp_path):
    path = tmp_path / "config.yaml"
    source = {"name": "videos", "root": "here", "repeat": 1}
    path.write_text(yaml.safe_dump({"data": {"sources": [source]}}))
    check_same_run({"data": {"sources": [source | {"root": "there"}]}}, path)
    with pytest.raises(ConfigError, match=r"data\.sources\.0\.repeat=2 instead of 1"):
        check_same_run({"data": {"sources": [source | {"repeat": 2}]}}, path)


def test_a_few_of_many_differences_are_shown(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"training": {name: 1 for name in "abcdef"}, "gone": 1}))
    check_same_run({"training": {name: 1 for name in "abcdef"}, "new": 2}, path)      # options that one lacks
    check_same_run({"training": {"a": 2}}, tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match=r"training\.d=2 instead of 1, and 2 more; use its settings"):
        check_same_run({"training": {name: 2 for name in "abcdef"}}, path)


def test_missing_data_is_an_error_before_weights_are_downloaded(stage, tmp_path, refused, monkeypatch):
    monkeypatch.setattr(STCN, "load_imagenet", lambda self: pytest.fail("downloaded"))
    stage["training"]["pretrained"] = True
    stage["data"]["sources"][0]["root"] = str(tmp_path / "nowhere")
    with refused("nowhere: expected the data set 'pairs', found no such folder; set its root"):
        train_stage(stage, tmp_path)
    stage["data"]["sources"][0]["root"] = str(tmp_path / "static")
    with refused("nowhere: expected the DAVIS folder"):
        train_stage(stage, tmp_path, "--set", f"validation={{davis_root: {tmp_path / 'nowhere'}, every: 1}}")


# What does not belong together -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("sequences", "frames", "words"), [
    (["cat", "dog"], 12, "The runs are over different sequences (every-5: 1, LFU, 2 frames: 2)"),
    (["cat"], 7, "The runs are over different numbers of frames (every-5: 12, LFU, 2 frames: 7)"),
    (["cat"], 12, None),
])
def test_a_report_warns_if_runs_are_over_different_data(sequences, frames, words, tmp_path, capsys):
    write_run(tmp_path / "first", "every_k", ["cat"], 12)
    write_run(tmp_path / "second", "lfu", sequences, frames)
    report.main([str(tmp_path / "first"), str(tmp_path / "second"), "--output", str(tmp_path / "page.md")])
    warned, page = capsys.readouterr().err, (tmp_path / "page.md").read_text()
    assert (words is None) == ("warning" not in warned) == ("over different" not in page)
    assert words is None or f"warning: DAVIS 2017 val: {words}" in warned


def write_run(folder, memory, sequences, frames):
    scores = dict.fromkeys(GLOBAL_COLUMNS, 0.5)
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({
        "settings": {"command": "eval_davis", "memory": memory}, "sequences": sequences,
        "scores": scores, "scores_per_sequence": dict.fromkeys(sequences, scores),
        "totals": {"frames": frames, "fps": 8.0, "frames_held_mean": 4.0, "frames_held_peak": 5.0},
    }))


def test_a_folder_of_several_data_sets_is_refused(tmp_path, capsys):
    make_davis(tmp_path / "DAVIS", {"train": 1, "val": 1}, 3, (48, 64), progress=False)
    with pytest.raises(SystemExit, match="2"):
        check_dataset.main([str(tmp_path)])
    make_static(tmp_path / "static", images=2, size=(48, 64), progress=False)
    with pytest.raises(SystemExit, match="2"):
        check_dataset.main([str(tmp_path)])
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.partition(": expected ")[2] for line in lines] == [
        "one data set, found 1 in it: DAVIS (davis); give one of them",
        "one data set, found 2 in it: DAVIS (davis), static (pairs); give one of them",
    ]
    assert check_dataset.main([str(tmp_path / "DAVIS")]) == 0
    assert check_dataset.main([str(tmp_path / "static")]) == 0
