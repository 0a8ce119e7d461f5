"""Too little memory, of a GPU or of the computer: one line that says how to take less, and exit status 2."""

from pathlib import Path

import numpy as np
import pytest
import torch

import eval_davis
import eval_youtube
import train
from dataset.synthetic import make_davis
from inference.commands import lack_of_memory
from model import STCN
from scripts import segment_video
from tests.processes import write_stage

pytestmark = pytest.mark.slow
ON_A_GPU = ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 7.79 GiB of which 1.02 GiB "
            "is free. Including non-PyTorch memory, this process has 6.75 GiB memory in use.")


@pytest.fixture(scope="module")
def davis(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("davis")
    make_davis(root, sequences={"train": 1, "val": 1}, frames=8, size=(48, 70), progress=False)
    return root


def of_a_gpu(*_):
    raise torch.OutOfMemoryError(ON_A_GPU)


def of_the_computer(*_):
    torch.empty(2**50)


@pytest.fixture(params=[of_a_gpu, of_the_computer])
def lacking(request, monkeypatch) -> str:
    """Every network lacks memory; returns how this is said."""
    monkeypatch.setattr(STCN, "encode_key", request.param)
    asked = "GPU memory (2.50 GiB" if request.param is of_a_gpu else f"memory ({2**52} bytes"
    return f"error: out of {asked} more were needed); "


def refused(capsys, main, arguments, *words):
    with pytest.raises(SystemExit, match="2"):
        main(list(map(str, arguments)))
    error = capsys.readouterr().err
    assert "Traceback" not in error
    last = error.strip().splitlines()[-1]
    assert all(word in last for word in words), last


def test_evaluation(lacking, davis, weights, tmp_path, capsys):
    command = ["--weights", weights, "--device", "cpu", "--output", tmp_path / "run"]
    words = ("--precision bf16", "--decode window", "--memory-frames")
    refused(capsys, eval_davis.main, ["--davis-root", davis, *command], lacking, *words)
    assert not list(tmp_path.rglob("*.png"))
    youtube = [davis / "JPEGImages/480p", davis / "Annotations/480p"]
    for name, folder in zip(("JPEGImages", "Annotations"), youtube, strict=True):
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / name).symlink_to(folder)
    command[-1] = tmp_path / "youtube"
    command = ["--youtube-root", tmp_path / "videos", *command]
    refused(capsys, eval_youtube.main, command, lacking, "--short-side", *words)


def test_segmentation(lacking, davis, weights, tmp_path, capsys):
    frames = next((davis / "JPEGImages/480p").iterdir())
    refused(capsys, segment_video.main, [
        "--input", frames, "--mask", davis / "Annotations/480p" / frames.name / "00000.png", "--weights", weights,
        "--device", "cpu", "--output", tmp_path / "run",
    ], lacking, "--short-side", "--precision bf16", "--decode window", "--memory-frames")
    assert not list(tmp_path.rglob("*.png"))


def test_training(lacking, davis, tmp_path, capsys):
    stage = write_stage(tmp_path / "tiny.yaml", davis)
    refused(capsys, train.main, ["--config", stage, "--device", "cpu", "--output", tmp_path / "run"], lacking,
            "data.crop", "training.batch_size", "training.accumulate", "training.precision=bf16")
    assert not list(tmp_path.rglob("*.pth"))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    assert lack_of_memory(RuntimeError("shape mismatch")) is None
    assert lack_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")) == "out of GPU memory"
    with pytest.raises(MemoryError) as caught:
        np.zeros(2**55)
    assert lack_of_memory(caught.value) == "out of memory (256. PiB more were needed)"
