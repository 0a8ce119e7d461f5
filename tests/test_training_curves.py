"""scripts/training_curves.py draws what a log holds, a resumed run's repeated iterations once."""

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

from scripts.training_curves import main, read_curves, smoothed


@pytest.fixture
def run(tmp_path):
    for steps, factor in (((20, 40, 60), 1), ((40, 60, 80), 10)):        # stopped, and resumed from iteration 20
        with SummaryWriter(str(tmp_path / "run" / "log")) as log:
            for step in steps:
                log.add_scalar("train/cross_entropy", factor * step, step)
    return tmp_path / "run"


def test_a_resumed_run_is_one_curve(run):
    iterations, values = read_curves(run)["train/cross_entropy"]
    assert iterations.tolist() == [20, 40, 60, 80]
    assert (values[0], values[-1]) == (20, 800)
    assert set(values[1:3]) <= {40, 60, 400, 600}


def test_a_mean_of_neighbours_keeps_the_ends_in_place():
    assert smoothed(np.array([1.0, 1, 1, 1]), 3).tolist() == [1, 1, 1, 1]
    assert smoothed(np.array([0.0, 3, 0, 3]), 3).tolist() == [1.5, 1, 2, 1.5]
    assert smoothed(np.array([0.0, 4]), 15).tolist() == [0, 4]


def test_a_picture_is_written_and_a_missing_value_named(run, capsys):
    output = run.parent / "new" / "curves.png"
    main([str(run), "--values", "train/cross_entropy", "--output", str(output)])
    assert output.stat().st_size > 1000
    for arguments, found in (([str(run)], "train/iou_frame_2"), ([str(run.parent)], "log/events.out.tfevents")):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--output", str(output)])
        assert stopped.value.code == 2
        assert found in capsys.readouterr().err
