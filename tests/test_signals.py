"""Stop signals during training: however many arrive, a checkpoint to resume from is left."""

import re
import signal
import time

import pytest
import torch

from dataset.synthetic import make_davis
from model.storage import read_file
from model.training.signals import StopSignals
from model.training.trainer import Trainer
from tests.processes import Command, check_whole, write_stage
from tests.training import train_stage


@pytest.fixture
def stage(tmp_path):
    make_davis(tmp_path / "DAVIS", sequences={"train": 1, "val": 1}, frames=4, size=(48, 70), progress=False)
    return write_stage(tmp_path / "tiny.yaml", tmp_path / "DAVIS", iterations=100_000, save_every=100_000)


def test_the_third_ctrl_c_acts_as_usual_and_sigterm_never():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with StopSignals() as signals:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
            assert signals.received == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_prevent_the_checkpoint(stage, tmp_path, monkeypatch, capsys, number):
    """The first one arrives in a step, the second one while its checkpoint is written."""
    monkeypatch.setattr(Trainer, "_step", after(number, Trainer._step))
    monkeypatch.setattr("model.storage.torch.save", after(number, torch.save))
    with pytest.raises(SystemExit, match="130"):
        train_stage(stage, tmp_path / "run")
    assert f"{number.name}: stopped after iteration 1, saved" in capsys.readouterr().err
    assert read_file(tmp_path / "run/checkpoints/iteration_0000001.pth")["training"]["iteration"] == 1


@pytest.mark.slow
def test_two_sigterms_to_a_process_leave_a_checkpoint_to_resume_from(stage, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    log = tmp_path / "log"
    process = Command("train", ["--config", stage, "--output", tmp_path / "run", "--device", "cpu"], log)
    process.await_(lambda: log.exists() and re.search(r"\b[1-9]\d*/100000 ", log.read_text()) is not None)
    process.send(signal.SIGTERM)
    time.sleep(0.02)
    process.send(signal.SIGTERM)
    status, said = process.wait()
    assert status == 130
    found = re.match(r"SIGTERM: stopped after iteration (\d+), saved (.*); resume with", said)
    assert found, said
    check_whole(tmp_path / "run")
    assert [str(path) for path in (tmp_path / "run/checkpoints").iterdir()] == [found[2]]
    one_more = ("--resume", found[2], "--set", f"training.iterations={int(found[1]) + 1}")
    assert train_stage(stage, tmp_path / "resumed", *one_more)


def after(number, function):
    """`function`, at whose beginning the signal arrives."""
    def run(*arguments, **named):
        signal.raise_signal(number)
        return function(*arguments, **named)
    return run
