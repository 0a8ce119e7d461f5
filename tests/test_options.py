"""Options as data: a new field is a flag, a YAML key, a recorded setting, a label and a column of an ablation."""

import csv
import json
from dataclasses import dataclass, fields

import pytest

import eval_davis
import inference.ablation.ablation_report
import inference.ablation.settings
import inference.evaluation
import inference.memory
import inference.memory.labels
import inference.memory.options
import inference.memory.policies
import inference.telemetry.explain_page
from dataset.synthetic import make_davis
from inference.memory import MemoryOptions
from inference.options import option
from inference.report.runs import read_runs
from scripts import ablate, segment_video


@dataclass(frozen=True)
class LongerOptions(MemoryOptions):
    """The memory options with one more."""

    half_life: int = option(10, "frames until a use counts half", metavar="T", minimum=1, label="half-life {}")


@pytest.fixture
def _one_more_option(monkeypatch):
    """A field more, in one place: wherever the class is known by its name."""
    for module in (
        inference.memory, inference.memory.options, inference.memory.policies, inference.memory.labels,
        inference.ablation.settings, inference.evaluation, eval_davis, segment_video, ablate,
    ):
        monkeypatch.setattr(module, "MemoryOptions", LongerOptions)
    monkeypatch.setattr(inference.ablation.ablation_report, "MemoryOptions", LongerOptions)
    monkeypatch.setattr(inference.ablation.ablation_report, "OPTIONS", [each.name for each in fields(LongerOptions)])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"val": 1}, frames=3, size=(48, 64), progress=False)
    return root


def flags(root, weights, output, *more):
    return ["--davis-root", str(root), "--weights", str(weights), "--output", str(output), "--device", "cpu",
            "--top-k", "5", "--memory-every", "1", *more]


@pytest.mark.usefixtures("_one_more_option")
def test_a_new_memory_option_is_one_field(root, weights, tmp_path, capsys, refused):
    for command in (eval_davis, segment_video, ablate):
        with pytest.raises(SystemExit, match="0"):
            command.main(["--help"])
        assert "--half-life T" in (text := " ".join(capsys.readouterr().out.split()))
        assert "frames until a use counts half (default: 10)" in text

    (tmp_path / "bank.yaml").write_text("half-life: 3\n")
    run = flags(root, weights, tmp_path / "run", "--config", str(tmp_path / "bank.yaml"))
    eval_davis.main(run)
    settings = json.loads((tmp_path / "run/run.json").read_text())["settings"]
    assert settings["half_life"] == 3
    assert read_runs([tmp_path / "run"])[0].title == "LFU, 2 frames (every 1 frames, top 5, half-life 3)"

    with refused("half_life=10 as in this command, found 3"):
        eval_davis.main(flags(root, weights, tmp_path / "run"))
    with refused("half_life 0: expected at least 1"):
        eval_davis.main(flags(root, weights, tmp_path / "other", "--half-life", "0"))

    ablate.main(flags(root, weights, tmp_path / "ablation", "--memory", "lfu", "--memory-frames", "1",
                      "--half-life", "10", "20"))
    with open(tmp_path / "ablation/ablation.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["half_life"] for row in rows if row["sequence"] == "(mean)"] == ["10", "20"]
    names = json.loads((tmp_path / "ablation/run.json").read_text())["results"]
    assert list(names) == ["lfu1-every1-top5-topk", "lfu1-every1-top5-topk-half_life20"]


@pytest.mark.parametrize(("command", "words"), [
    (eval_davis, "a hard bound (default: 2; every_k and first_and_latest: unbounded)"),
    (ablate, "a hard bound (default: 1 2 4 8)"), (segment_video, "with the same masks up to rounding (default: 8)"),
])
def test_help_shows_the_default_of_this_command(command, words, capsys):
    with pytest.raises(SystemExit, match="0"):
        command.main(["--help"])
    assert words in " ".join(capsys.readouterr().out.split())
