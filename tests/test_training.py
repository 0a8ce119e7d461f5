"""The training loop: schedules by iteration, what a run logs and keeps, errors that stop it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
import yaml

from dataset.synthetic import make_static
from model.checkpoint import read_weights
from model.losses import mean_intersection_over_union
from model.objective import clip_loss
from model.storage import read_file
from model.training.checkpoints import read_checkpoint
from model.training.config import TrainingConfig
from model.training.loading import load_batches
from tests.training import scalars, train_stage, write_tiny_stage


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return write_tiny_stage(tmp_path_factory.mktemp("training"))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_samples(config, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        train_stage(config, tmp_path / "run", "--set", "training.lr=1e30")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "at iteration 1, samples [2, 3]" in error


@pytest.mark.slow
def test_gradients_that_are_not_finite_never_reach_the_weights(config, tmp_path, capsys, monkeypatch):
    original = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(
        "model.training.trainer.nn.utils.clip_grad_norm_",
        lambda parameters, limit: original(parameters, limit) * (float("inf") if len(norms) == 4 else 1.0)
        if norms.append(1) is None else None,
    )
    norms: list[int] = []
    with pytest.raises(SystemExit, match="2"):
        train_stage(config, tmp_path / "run", "--set", "training.save_every=1")
    assert "gradient norm is inf at iteration 3" in capsys.readouterr().err
    newest = sorted((tmp_path / "run/checkpoints").iterdir())[-1]
    assert newest.name == "iteration_0000003.pth"
    assert all(torch.isfinite(tensor).all() for tensor in read_file(newest)["network"].values())


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


@pytest.mark.slow
def test_the_video_stage_starts_from_a_static_network(config, tmp_path):
    train_stage(config, tmp_path / "static", "--set", "network.mask_channels=1", "training.iterations=1")
    train_stage(config, tmp_path / "video", "--init-weights", str(tmp_path / "static/network.pth"),
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
        (["--set", "training.workers=-1"], "training.workers: expected at least 0, found -1"),
        (["--set", "data.max_objects=0"], "data.max_objects: expected at least 1"),
        (["--init-weights", "nowhere.pth"], "nowhere.pth"),
        (["--resume", "nowhere.pth"], "nowhere.pth"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(config, tmp_path, capsys, arguments, words):
    with pytest.raises(SystemExit, match="2"):
        train_stage(config, tmp_path / "run", *arguments)
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert words in error
    assert "\n" not in error
    assert not (tmp_path / "run").exists()


def test_learning_rate_is_a_function_of_the_iteration():
    step = TrainingConfig(lr=1.0, lr_drop_at=10)
    assert [step.learning_rate(i) for i in (0, 9, 10, 11)] == [1, 1, 0.1, 0.1]
    linear = TrainingConfig(lr=1.0, iterations=100, schedule="linear", warmup=2, lr_floor=0.0)
    assert [linear.learning_rate(i) for i in (0, 50, 100)] == pytest.approx([0.5, 0.5, 0])


@pytest.mark.parametrize(("given", "device", "cores", "processes", "workers"), [
    (None, "cpu", 1, 1, 1), (None, "cpu", 2, 1, 1), (None, "cpu", 64, 1, 2), (None, "cpu", 64, 32, 1),
    (None, "cuda", 2, 1, 1), (None, "cuda", 8, 1, 7), (None, "cuda", 64, 1, 8), (None, "cuda", 32, 4, 7),
    (0, "cuda", 8, 1, 0), (12, "cpu", 2, 1, 12),
])
def test_there_are_as_many_workers_as_cores_for_them(given, device, cores, processes, workers, monkeypatch):
    seen = []
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr("model.training.loading.DataLoader", lambda *_, **options: seen.append(options) or [])
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    config = TrainingConfig(workers=given)
    assert not list(load_batches([], config, SimpleNamespace(count=1, rank=0), 0, torch.device(device)))
    assert [options["num_workers"] for options in seen] == [workers]


@pytest.mark.slow
def test_accumulation_gives_the_gradient_of_one_batch(config, tmp_path):
    """In Adam's first moment after one step, which is a share of the gradient. (Weights would not do: Adam moves one
    whose gradient is rounding noise by the whole learning rate.) Near-ties of the top-k may fall otherwise."""
    moments = []
    for accumulate in (1, 2):
        folder = tmp_path / str(accumulate)
        train_stage(config, folder, "--set", "objective.regularizer=none", "training.iterations=1",
                    f"training.accumulate={accumulate}")
        state = read_checkpoint(folder / "checkpoints/iteration_0000001.pth")["training"]["optimizer"]["state"]
        moments.append(torch.cat([state[number]["exp_avg"].flatten() for number in sorted(state)]))
    assert (moments[0] - moments[1]).norm() < 0.01 * moments[0].norm()


@pytest.mark.slow
def test_validation_scores_are_logged_and_the_best_weights_kept(config, tmp_path):
    root = yaml.safe_load(config.read_text())["data"]["sources"][1]["root"]
    train_stage(config, tmp_path / "run", "--set", f"validation={{davis_root: {root}, every: 3}}")
    assert read_weights(tmp_path / "run/best.pth")
    assert "validation" in yaml.safe_load((tmp_path / "run/config.yaml").read_text())
    assert "J&F" in scalars(tmp_path / "run", "validation/")


@pytest.mark.slow
def test_curves_say_what_a_retrain_needs(config, tmp_path):
    train_stage(config, tmp_path / "run")
    assert {"total", "frame_1", "frame_2", "cross_entropy", "hard_fraction", "gap", "learning_rate", "iou_frame_1",
            "iou_frame_2", "samples_per_second", "share_waiting_for_data", "gradient_norm"} <= scalars(
        tmp_path / "run", "train/"
    ).keys()


@pytest.mark.slow
def test_what_is_for_the_log_alone_is_computed_only_where_it_is_logged(config, tmp_path, monkeypatch):
    """A point of a curve is the value of that one iteration."""
    losses, overlaps = [], []
    for name, function, results in (
        ("trainer.clip_loss", clip_loss, losses),
        ("values.mean_intersection_over_union", mean_intersection_over_union, overlaps),
    ):
        monkeypatch.setattr(f"model.training.{name}", noting(function, results))
    train_stage(config, tmp_path / "run", "--set", "training.log_every=4")
    assert ["cross_entropy" in outcome for outcome in losses] == [False, False, False, True, False, True]
    assert len(overlaps) == 4
    logged = scalars(tmp_path / "run", "train/")
    assert logged["total"] == [losses[3]["total"].item(), losses[5]["total"].item()]
    assert logged["iou_frame_2"] == [overlaps[1].item(), overlaps[3].item()]


def noting(function, results):
    def call(*arguments):
        results.append(function(*arguments))
        return results[-1]
    return call


@pytest.mark.slow
def test_two_processes_train_as_one(config, tmp_path):
    """The same global batch: the same losses to 1e-5 over ten steps, at the thesis's learning rate."""
    more = ["--set", "training.iterations=10", "training.log_every=1", "training.lr=1e-5",
            "objective.regularizer=none"]
    train_stage(config, tmp_path / "one", *more)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29511", "train.py",
         "--config", str(config), "--output", str(tmp_path / "two"), "--device", "cpu", *more],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    one, two = (scalars(tmp_path / name, "train/")["total"] for name in ("one", "two"))
    assert len(one) == len(two) == 10
    assert one == pytest.approx(two, rel=1e-5)
