"""Training that is stopped resumes to the same weights, and runs do not mix."""

import random
import re
import signal
import time

import pytest
import torch
import yaml

from model.checkpoint import read_weights
from model.storage import read_file
from tests.processes import Command
from tests.training import scalars, train_stage, write_tiny_stage


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_tiny_stage(tmp_path_factory.mktemp("training"))


def test_a_resumed_run_equals_an_uninterrupted_run_bit_for_bit(config, tmp_path):
    whole = train_stage(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:      # "killed" just after the checkpoint of iteration 3
        patch.setattr("model.training.trainer.Trainer._step", _killed_at(3))
        with pytest.raises(RuntimeError, match="killed"):
            train_stage(config, tmp_path / "parts")
    assert not (tmp_path / "parts/network.pth").exists()
    parts = train_stage(config, tmp_path / "parts", "--resume", "auto", "--set", "training.workers=1")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_saves_a_checkpoint_and_leaves(config, tmp_path, workers):
    """The signal goes to the whole process group, loading processes included, as torchrun and terminals send it."""
    more = ["--set", "training.iterations=100000", "training.save_every=100000", f"training.workers={workers}"]
    log = tmp_path / "log.txt"
    process = Command("train", ["--config", config, "--output", tmp_path / "run", *more], log)
    process.await_(lambda: log.exists() and re.search(r"\b[1-9]\d*/100000 ", log.read_text()) is not None)
    process.send(signal.SIGTERM, group=True)
    status, error = process.wait()
    assert status == 130
    assert "SIGTERM: stopped after iteration" in error
    assert "--resume auto" in error
    (saved,) = (tmp_path / "run/checkpoints").iterdir()
    assert read_file(saved)["training"]["iteration"] > 0


@pytest.mark.slow
def test_an_earlier_checkpoint_does_not_mix_with_later_ones(config, tmp_path, capsys):
    train_stage(config, tmp_path / "run", "--set", "training.save_every=2")
    with pytest.raises(SystemExit, match="2"):
        train_stage(config, tmp_path / "run", "--resume", str(tmp_path / "run/checkpoints/iteration_0000002.pth"))
    assert "is later; choose another --output" in capsys.readouterr().err


@pytest.mark.slow
def test_a_second_run_does_not_overwrite_the_first(config, tmp_path, capsys):
    train_stage(config, tmp_path / "run", "--set", "training.iterations=3")
    with pytest.raises(SystemExit, match="2"):
        train_stage(config, tmp_path / "run")
    assert "resume with --resume auto" in capsys.readouterr().err


@pytest.mark.slow
def test_the_best_score_survives_a_resume(config, tmp_path):
    root = yaml.safe_load(config.read_text())["data"]["sources"][1]["root"]
    train_stage(config, tmp_path / "run", "--set", f"validation={{davis_root: {root}, every: 3}}")
    saved = read_file(tmp_path / "run/checkpoints/iteration_0000003.pth")["training"]["best"]
    assert saved == scalars(tmp_path / "run", "validation/")["J&F"][0]


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(config, tmp_path, capsys):
    whole = train_stage(config, tmp_path / "run", "--set", "training.save_every=2")
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    (tmp_path / "run/network.pth").unlink()
    again = train_stage(config, tmp_path / "run", "--resume", "auto", "--set", "training.save_every=2")
    error = capsys.readouterr().err
    assert f"warning: {newest}" in error
    assert "iteration_0000004.pth" in error
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.slow
def test_kill_and_resume_at_five_random_moments_ends_with_equal_weights(config, tmp_path):
    more = ["--set", "training.iterations=24", "training.save_every=2", "training.keep_checkpoints=2"]
    whole = train_stage(config, tmp_path / "whole", *more)
    command = ["--config", config, "--output", tmp_path / "killed", "--device", "cpu", "--resume", "auto", *more]
    moments, checkpoints = random.Random(0), tmp_path / "killed/checkpoints"
    for _ in range(5):
        before = _newest(checkpoints)
        process = Command("train", command, tmp_path / "log.txt")
        process.await_(lambda before=before: _newest(checkpoints) != before)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()                         # in a step, in a save, between two
    assert Command("train", command, tmp_path / "log.txt").wait()[0] == 0
    killed = read_weights(tmp_path / "killed/network.pth")[1]
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def _killed_at(iteration):
    from model.training.trainer import Trainer

    original = Trainer._step

    def step(self, *arguments):
        if self.iteration == iteration:
            raise RuntimeError("killed")
        return original(self, *arguments)

    return step


def _newest(checkpoints):
    return max((path.name for path in checkpoints.glob("*.pth")), default="")
