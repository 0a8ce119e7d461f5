"""Ctrl-C ends every command with one line and exit status 130, whatever it is doing."""

import importlib
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.odd import write_clip
from tests.processes import write_stage

ROOT = Path(__file__).resolve().parents[1]
NO_COMMANDS = {"scripts.arguments", "scripts.__init__"}


@dataclass(frozen=True)
class Interrupted:
    """A command, the function in which Ctrl-C reaches it, and its arguments ({0}: a folder of small data)."""

    module: str
    function: str
    arguments: str


CASES = [
    Interrupted("eval_davis", "inference.segmenter.VideoSegmenter.step",
                "--davis-root {0}/DAVIS --weights {0}/tiny.pth --device cpu --output {0}/out"),
    Interrupted("eval_youtube", "inference.segmenter.VideoSegmenter.step",
                "--youtube-root {0}/YouTube --weights {0}/tiny.pth --device cpu --output {0}/out"),
    Interrupted("eval_folder", "inference.segmenter.VideoSegmenter.step",
                "--benchmark longvideo --root {0}/YouTube --weights {0}/tiny.pth --device cpu --output {0}/out"),
    Interrupted("train", "model.training.trainer.Trainer._step",
                "--config {0}/stage.yaml --device cpu --output {0}/out"),
    Interrupted("scripts.segment_video", "inference.segmenter.VideoSegmenter.step",
                "--input {0}/YouTube/JPEGImages/cat --mask {0}/YouTube/Annotations/cat/00000.png "
                "--weights {0}/tiny.pth --device cpu --output {0}/out"),
    Interrupted("scripts.annotate", "scripts.annotate.serve",
                "--input {0}/YouTube/JPEGImages/cat --weights {0}/tiny.pth --device cpu --output {0}/out --no-browser"),
    Interrupted("scripts.ablate", "inference.segmenter.VideoSegmenter.step",
                "--davis-root {0}/DAVIS --weights {0}/tiny.pth --device cpu --output {0}/out"),
    Interrupted("scripts.policy_lab", "inference.segmenter.VideoSegmenter.encode",
                "keys --davis-root {0}/DAVIS --year 2017 --weights {0}/tiny.pth --device cpu --keys {0}/out"),
    Interrupted("scripts.policy_lab", "scripts.policy_lab.KeyFolder.read", "replay --keys {0} --output {0}/out"),
    Interrupted("scripts.policy_lab", "scripts.policy_lab.ReplayFolder.read_settings", "correlate --replay {0}"),
    Interrupted("scripts.policy_lab", "scripts.policy_lab.KeyFolder.read", "compare --keys {0} --runs {0}"),
    Interrupted("scripts.compare_trainings", "scripts.compare_trainings.read_trainings", "{0} --output {0}/out.md"),
    Interrupted("scripts.compose_videos", "scripts.compose_videos.compose_davis",
                "--davis-root {0}/DAVIS --year 2017 --output {0}/out"),
    Interrupted("scripts.report", "scripts.report.read_runs", "{0} --output {0}/out.md"),
    Interrupted("scripts.reproduce", "inference.segmenter.VideoSegmenter.step",
                "--davis-root {0}/DAVIS --weights {0}/tiny.pth --device cpu --table 7 --output {0}/out"),
    Interrupted("scripts.explain", "scripts.explain.read_run", "--run {0} --output {0}/out"),
    Interrupted("scripts.score_results", "inference.scoring.davis.score_sequence",
                "--annotations {0}/DAVIS/Annotations/480p --results {0}/DAVIS/Annotations/480p --year 2017"),
    Interrupted("scripts.score_long", "scripts.score_long.read_settings", "--run {0} --clips {0} --output {0}/out"),
    Interrupted("scripts.training_curves", "scripts.training_curves.read_curves", "{0} --output {0}/out.png"),
    Interrupted("scripts.convert_checkpoint", "scripts.convert_checkpoint.load_network", "{0}/tiny.pth {0}/out.pth"),
    Interrupted("scripts.export", "scripts.export.write_graphs",
                "--weights {0}/tiny.pth --size 48 64 --to torchscript --output {0}/out"),
    Interrupted("scripts.calibrate_confidence", "inference.segmenter.VideoSegmenter.step",
                "--weights {0}/tiny.pth --device cpu --output {0}/out"),
    Interrupted("scripts.benchmark", "scripts.benchmark.machine", "--output {0}/out.jsonl"),
    Interrupted("scripts.quickstart_plan", "scripts.quickstart_plan.expected",
                "--output {0}/out.tsv --videos 4 --frames 8"),
    Interrupted("scripts.show_masks", "scripts.show_masks.files", "--images {0} --masks {0} --output {0}/out.png"),
    Interrupted("scripts.check_dataset", "scripts.check_dataset.check", "{0}/DAVIS"),
    Interrupted("scripts.make_synthetic", "scripts.make_synthetic.make_static", "--kind static --output {0}/out"),
    Interrupted("scripts.prepare_static", "scripts.prepare_static.prepare", "--input {0}/static --output {0}/out"),
    Interrupted("scripts.prepare_youtube", "scripts.prepare_youtube.prepare", "--input {0}/YouTube --output {0}/out"),
]


@pytest.fixture
def folder(tmp_path, weights):
    write_clip(tmp_path, truth=True)
    (tmp_path / "DAVIS/ImageSets/2017/train.txt").write_text("cat\n")
    (tmp_path / "tiny.pth").symlink_to(weights)
    write_stage(tmp_path / "stage.yaml", tmp_path / "DAVIS", iterations=3)
    return tmp_path


def test_every_command_is_here():
    scripts = {f"scripts.{path.stem}" for path in (ROOT / "scripts").glob("*.py")} - NO_COMMANDS
    assert {case.module for case in CASES} == scripts | {"train", "eval_davis", "eval_youtube", "eval_folder"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.module} {case.arguments.split()[0]}")
def test_ctrl_c_is_one_line_and_status_130(case, folder, monkeypatch, capsys):
    command = importlib.import_module(case.module)
    monkeypatch.setattr(case.function, _interrupted(_resolve(case.function)))
    with pytest.raises(SystemExit) as end:
        command.main([word.format(folder) for word in case.arguments.split()])
    assert end.value.code == 130
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    said = [line for line in printed.replace("\r", "\n").splitlines() if "it/s" not in line and "frame/s" not in line]
    (line,) = [text for text in said if text.startswith(("interrupted", "SIGINT"))]
    assert any(remedy in line for remedy in ("run the same command again", "--resume auto", "--overwrite"))
    assert said[-1] == line
    assert not list(folder.rglob("*.partial*"))


def _interrupted(function: Callable) -> Callable:
    """Ctrl-C arrives as it begins."""
    def run(*arguments, **named):
        signal.raise_signal(signal.SIGINT)
        return function(*arguments, **named)
    return run


def _resolve(name: str) -> Callable:
    parts = name.split(".")
    for split in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:split]))
        except ModuleNotFoundError:
            continue
        for part in parts[split:]:
            found = getattr(found, part)
        return found
    raise AssertionError(name)
