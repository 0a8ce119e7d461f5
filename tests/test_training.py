"""The training loop: schedules by iteration, exact resume, errors that stop it."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

import train
from dataset.synthetic import make_davis, make_static
from model.checkpoint import read_weights
from model.storage import read_file
from model.training.config import TrainingConfig

NETWORK = {
    "key_backbone": "resnet18", "key_dim": 8, "value_dim": 16, "decoder_dims": [16, 8, 8], "norm": "group",
    "block_norm": "group",
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A YAML of a tiny stage over miniature data."""
    root = tmp_path_factory.mktemp("training")
    make_static(root / "static", images=4, size=(48, 64), progress=False)
    make_davis(root / "DAVIS", sequences={"train": 2, "val": 1}, frames=8, size=(48, 64), progress=False)
    sources = [
        {"layout": "pairs", "root": str(root / "static")}, {"layout": "davis2017", "root": str(root / "DAVIS")}
    ]
    path = root / "tiny.yaml"
    path.write_text(yaml.safe_dump({
        "network": NETWORK, "data": {"crop": 48, "sources": sources},
        "training": {"iterations": 6, "batch_size": 2, "lr": 1.0e-3, "workers": 0, "save_every": 3, "log_every": 2,
                     "pretrained": False},
        "objective": {"bootstrap_start": 2, "bootstrap_span": 3, "regularizer": "dropout"},
    }))
    return path


def run(config, output, *more):
    train.main(["--config", str(config), "--output", str(output), "--device", "cpu", *more])
    return read_weights(output / "network.pth")[1]


def test_resuming_equals_not_having_stopped_bit_for_bit(config, tmp_path):
    whole = run(config, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:      # "killed" just after the checkpoint of iteration 3
        patch.setattr("model.training.trainer.Trainer._step", _killed_at(3))
        with pytest.raises(RuntimeError, match="killed"):
            run(config, tmp_path / "parts")
    assert not (tmp_path / "parts/network.pth").exists()
    parts = run(config, tmp_path / "parts", "--resume", "auto", "--set", "training.workers=1")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_saves_a_checkpoint_and_leaves(config, tmp_path, workers):
    """The signal goes to the whole process group, loading processes included, as torchrun and terminals send it."""
    command = [sys.executable, "train.py", "--config", str(config), "--output", str(tmp_path / "run"), "--set",
               "training.iterations=100000", "training.save_every=100000", f"training.workers={workers}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not list((tmp_path / "run").glob("log/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGTERM)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "SIGTERM: stopped after iteration" in error
    assert "--resume auto" in error
    (saved,) = (tmp_path / "run/checkpoints").iterdir()
    assert read_file(saved)["training"]["iteration"] > 0


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(config, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(config, tmp_path / "run", "--set", "training.lr=1e30")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "at iteration 1, samples [2, 3]" in error


def test_gradients_that_are_not_finite_never_reach_the_weights(config, tmp_path, capsys, monkeypatch):
    original = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        "model.training.trainer.nn.utils.clip_grad_norm_",
        lambda parameters, limit: original(parameters, limit) * (float("inf") if len(norms) == 4 else 1.0)
        if norms.append(1) is None else None,
    )
    norms: list[int] = []
    with pytest.raises(SystemExit, match="2"):
        run(config, tmp_path / "run", "--set", "training.save_every=1")
    assert "gradient norm is inf at iteration 3" in capsys.readouterr().err
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    assert newest.name == "iteration_0000003.pth"
    assert all(torch.isfinite(tensor).all() for tensor in read_file(newest)["network"].values())


def test_an_earlier_checkpoint_does_not_mix_with_later_ones(config, tmp_path, capsys):
    run(config, tmp_path / "run", "--set", "training.save_every=2")
    with pytest.raises(SystemExit, match="2"):
        run(config, tmp_path / "run", "--resume", str(tmp_path / "run/checkpoints/iteration_0000002.pth"))
    assert "is later; choose another --output" in capsys.readouterr().err


def test_the_best_score_survives_a_resume(config, tmp_path):
    root = yaml.safe_load(config.read_text())["data"]["sources"][1]["root"]
    run(config, tmp_path / "run", "--set", f"validation={{davis_root: {root}, every: 3}}")
    saved = read_file(tmp_path / "run/checkpoints/iteration_0000003.pth")["training"]["best"]
    assert saved == _scalars(tmp_path / "run", "validation/")["J&F"][0]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_ends_the_run_with_one_line(config, tmp_path, workers):
    """The whole process, loading processes included: none may be left waiting."""
    make_static(tmp_path / "static", images=1, size=(48, 64), progress=False)
    image = tmp_path / "static/00001.jpg"
    image.write_bytes(image.read_bytes()[:500])
    process = subprocess.run(
        [sys.executable, "train.py", "--config", str(config), "--output", str(tmp_path / "run"), "--set",
         f"training.workers={workers}", f"data.sources=[{{layout: pairs, root: {tmp_path / 'static'}}}]"],
        capture_output=True, text=True, timeout=60, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.returncode == 2
    (error,) = [line for line in process.stderr.splitlines() if "error: " in line]
    assert f"error: {image}: expected a readable image" in error
    assert "Traceback" not in process.stderr


def test_the_video_stage_starts_from_a_static_network(config, tmp_path):
    run(config, tmp_path / "static", "--set", "network.mask_channels=1", "training.iterations=1")
    run(config, tmp_path / "video", "--init-weights", str(tmp_path / "static/network.pth"),
        "--set", "training.iterations=1", "training.lr=0.0")
    static, video = (read_weights(tmp_path / stage / "network.pth")[1] for stage in ("static", "video"))
    name = "value_encoder.trunk.conv1.weight"
    assert torch.equal(video[name][:, :4], static[name])
    assert not video[name][:, 4].any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "training.learning_rate=1"], "unknown key 'learning_rate'"),
        (["--set", "training.itertions=1"], "did you mean 'iterations'"),
        (["--set", "training.precision=fp8"], "expected one of fp32, bf16, fp16"),
        (["--set", "data.sources=[]"], "expected at least one source"),
        (["--set", "training.lr=[1"], "not valid YAML"),
        (["--set", "training.save_every=0"], "training.save_every: expected at least 1, found 0"),
        (["--set", "data.max_objects=0"], "data.max_objects: expected at least 1"),
        (["--init-weights", "nowhere.pth"], "nowhere.pth"),
        (["--resume", "nowhere.pth"], "nowhere.pth"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(config, tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        run(config, tmp_path / "run", *arguments)
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert words in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


def test_a_second_run_does_not_overwrite_the_first(config, tmp_path, capsys):
    run(config, tmp_path / "run", "--set", "training.iterations=3")
    with pytest.raises(SystemExit, match="2"):
        run(config, tmp_path / "run")
    assert "resume with --resume auto" in capsys.readouterr().err


def test_learning_rate_is_a_function_of_the_iteration():
    step = TrainingConfig(lr=1.0, lr_drop_at=10)
    assert [step.learning_rate(i) for i in (0, 9, 10, 11)] == [1, 1, 0.1, 0.1]
    linear = TrainingConfig(lr=1.0, iterations=100, schedule="linear", warmup=2, lr_floor=0.0)
    assert [linear.learning_rate(i) for i in (0, 50, 100)] == pytest.approx([0.5, 0.5, 0])


def _killed_at(iteration):
    from model.training.trainer import Trainer

    original = Trainer._step

    def step(self, *arguments):
        if self.iteration == iteration:
            raise RuntimeError("killed")
        return original(self, *arguments)

    return step




def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(config, tmp_path, capsys):
    whole = run(config, tmp_path / "run", "--set", "training.save_every=2")
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    (tmp_path / "run/network.pth").unlink()
    again = run(config, tmp_path / "run", "--resume", "auto", "--set", "training.save_every=2")
    error = capsys.readouterr().err
    assert f"warning: {newest}" in error
    assert "iteration_0000004.pth" in error
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_accumulation_gives_the_same_step_as_one_batch(config, tmp_path):
    options = ("--set", "objective.regularizer=none", "training.iterations=2", "training.optimizer=adamw")
    one = run(config, tmp_path / "one", *options)
    two = run(config, tmp_path / "two", *options, "training.accumulate=2")
    difference = torch.cat([(one[name] - two[name]).float().abs().flatten() for name in one])
    # Adam moves an element whose gradient is rounding noise by the whole lr (1e-3) either way: there are few of those
    assert difference.mean() < 1e-6


def test_validation_scores_are_logged_and_the_best_weights_kept(config, tmp_path):
    root = yaml.safe_load(config.read_text())["data"]["sources"][1]["root"]
    run(config, tmp_path / "run", "--set", f"validation={{davis_root: {root}, every: 3}}")
    assert read_weights(tmp_path / "run/best.pth")
    assert "validation" in yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert "J&F" in _scalars(tmp_path / "run", "validation/")


def test_curves_say_what_a_retrain_needs(config, tmp_path):
    run(config, tmp_path / "run")
    assert {"total", "frame_1", "frame_2", "cross_entropy", "hard_fraction", "gap", "learning_rate", "iou_frame_1",
            "iou_frame_2", "samples_per_second", "share_waiting_for_data", "gradient_norm"} <= _scalars(
        tmp_path / "run", "train/"
    ).keys()


@pytest.mark.slow
def test_two_processes_train_as_one(config, tmp_path):
    """The same global batch: the same losses to 1e-5 over ten steps, at the thesis's learning rate."""
    more = ["--set", "training.iterations=10", "training.log_every=1", "training.lr=1e-5",
            "objective.regularizer=none"]
    run(config, tmp_path / "one", *more)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29511", "train.py",
         "--config", str(config), "--output", str(tmp_path / "two"), "--device", "cpu", *more],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    one, two = (_scalars(tmp_path / name, "train/")["total"] for name in ("one", "two"))
    assert len(one) == len(two) == 10
    assert one == pytest.approx(two, rel=1e-5)


@pytest.mark.slow
def test_kill_and_resume_at_five_random_moments_ends_with_equal_weights(config, tmp_path):
    more = ["--set", "training.iterations=60", "training.save_every=5", "training.keep_checkpoints=2"]
    whole = run(config, tmp_path / "whole", *more)
    command = [sys.executable, "train.py", "--config", str(config), "--output", str(tmp_path / "killed"), "--device",
               "cpu", "--resume", "auto", *more]
    moments, checkpoints = random.Random(0), tmp_path / "killed/checkpoints"
    for _ in range(5):
        before = _newest(checkpoints)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while _newest(checkpoints) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        assert process.poll() is None          # killed in the middle: in a step, in a save, between two
        process.kill()
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    killed = read_weights(tmp_path / "killed/network.pth")[1]
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def _newest(checkpoints):
    return max((path.name for path in checkpoints.glob("*.pth")), default="")


def _scalars(output, prefix):
    """name -> values of TensorBoard's curves."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "log"))
    events.Reload()
    return {
        name.removeprefix(prefix): [event.value for event in events.Scalars(name)]
        for name in events.Tags()["scalars"] if name.startswith(prefix)
    }
