"""What makes a number a confidence: AUC, logistic fit, reliability; and the command that measures them."""

import csv
import math
import shutil

import numpy as np
import pytest

from dataset.synthetic import make_davis
from inference.scoring.calibration import auc, calibration_error, fit_logistic, logistic, reliability
from scripts import calibrate_confidence

RNG = np.random.default_rng(0)


def test_auc_counts_the_pairs_in_the_right_order():
    scores, right = RNG.integers(0, 9, 60).astype(float), RNG.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[right] for b in scores[~right]]
    assert auc(scores, right) == pytest.approx(np.mean(pairs))
    assert auc(np.array([1.0, 2, 3]), np.array([False, True, True])) == 1
    assert math.isnan(auc(scores, np.ones(60, bool)))


def test_the_fit_finds_the_probabilities_that_made_the_outcomes():
    scores = RNG.normal(0, 2, 20_000)
    right = RNG.random(20_000) < logistic(-1 + 1.5 * scores)
    offset, slope = fit_logistic(scores, right)
    assert offset == pytest.approx(-1, abs=0.1)
    assert slope == pytest.approx(1.5, abs=0.1)
    assert calibration_error(logistic(offset + slope * scores), right) < 0.02


@pytest.mark.parametrize("scores", [np.array([-3.0, -2, 2, 3]), 1e3 * np.array([1.0, 2, 3, 4])])
def test_the_fit_is_finite_if_the_scores_separate_completely(scores):
    fitted = np.array(fit_logistic(scores, np.array([False, False, True, True])))
    assert np.isfinite(fitted).all()
    confidence = logistic(fitted[0] + fitted[1] * scores)
    assert confidence[1] < 0.5 < confidence[2]


def test_reliability_has_the_share_of_right_ones_in_each_range():
    confidence = np.array([0.05, 0.07, 0.92, 0.98, 1.0])
    low, high = reliability(confidence, np.array([False, True, True, True, False]))
    assert (low.confidence, low.right, low.count) == (pytest.approx(0.06), 0.5, 2)
    assert (high.confidence, high.right, high.count) == (pytest.approx(2.9 / 3), pytest.approx(2 / 3), 3)
    assert calibration_error(np.array([0.0, 1.0]), np.array([True, True])) == 0.5


@pytest.mark.slow
def test_the_command_measures_clips_and_sequences(weights, tmp_path, capsys):
    davis = tmp_path / "DAVIS"
    make_davis(davis, {"val": 2}, frames=3, size=(48, 70), progress=False)
    shutil.copytree(davis / "ImageSets/2017", davis / "ImageSets/2016")
    calibrate_confidence.main([
        "--output", str(tmp_path / "out"), "--weights", str(weights), "--clips", "2", "--frames", "2",
        "--davis-root", str(davis), "--device", "cpu"])
    printed = capsys.readouterr().out
    assert "OFFSET, SLOPE = " in printed
    with open(tmp_path / "out/masks.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = [row["video"] for row in rows]
    assert names[:3] == ["clip 0", "clip 1", "clip 1"]               # one object, two objects; not the given frame
    assert set(names[3:]) == set((davis / "ImageSets/2016/val.txt").read_text().split())
    assert f"DAVIS 2016: {len(rows) - 3} masks" in printed
    assert all(0 <= float(row["j"]) <= 1 for row in rows)
    assert (tmp_path / "out/reliability.png").stat().st_size > 0
