"""J, F and their statistics: the official toolkit's numbers, and properties that hold for any masks."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dataset.masks import read_labels
from inference.scoring.davis import global_statistics, score_results
from inference.scoring.metrics import (
    boundary_accuracy,
    boundary_accuracy_plain,
    region_similarity,
    score_frame,
    statistics,
)

SHARED = Path(__file__).resolve().parents[2] / "shared"
GOLDEN = SHARED / "golden" / "davis2016_scores.json"
RESULTS = SHARED / "golden" / "davis2016_results"
ANNOTATIONS = SHARED / "data" / "DAVIS" / "Annotations" / "480p"
needs_shared = pytest.mark.skipif(not GOLDEN.exists(), reason=f"no reference scores at {GOLDEN}")


@needs_shared
def test_first_frames_equal_the_official_toolkit():
    expected = json.loads(GOLDEN.read_text())["sequences"]["bmx-trees"]
    for index in range(6):
        name = f"bmx-trees/{index + 1:05d}.png"
        truth, prediction = read_labels(ANNOTATIONS / name) > 0, read_labels(RESULTS / name) > 0
        assert region_similarity(truth, prediction) == pytest.approx(expected["J_frames"][index], abs=1e-9)
        assert boundary_accuracy(truth, prediction) == pytest.approx(expected["F_frames"][index], abs=1e-9)


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_all_sequences_equal_the_official_toolkit(workers):
    golden = json.loads(GOLDEN.read_text())
    truths = {
        name: {path.stem: path for path in sorted((ANNOTATIONS / name).iterdir())} for name in golden["sequences"]
    }
    scores = score_results(truths, RESULTS, binary=True, workers=workers, progress=False)
    for sequence in scores:
        expected, scored = golden["sequences"][sequence.sequence], sequence.objects[1]
        for key, values, summary in (("J", scored.j, scored.j_statistics), ("F", scored.f, scored.f_statistics)):
            assert values == pytest.approx(expected[f"{key}_frames"], abs=1e-9)
            assert list(vars(summary).values()) == pytest.approx(expected[key], abs=1e-9)
    overall = list(global_statistics(scores).values())[1:]
    columns = golden["global_mean_recall_decay"]
    assert overall == pytest.approx(columns["J"] + columns["F"], abs=1e-9)


@pytest.mark.parametrize("size", [(64, 64), (48, 101), (480, 854), (1080, 1920)])
def test_window_gives_what_the_whole_frame_gives(size):
    random = np.random.default_rng(sum(size))
    for _ in range(20 if size[0] < 200 else 4):
        truth, prediction = _blobs(random, size), _blobs(random, size)
        for tolerance in (0.008, 3):
            expected = boundary_accuracy_plain(truth, prediction, tolerance)
            assert boundary_accuracy(truth, prediction, tolerance) == expected


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_window_at_the_corners(corner):
    truth, prediction = np.zeros((2, 40, 50), bool)
    truth[corner] = True
    prediction[20, 25] = True
    for pair in ((truth, truth), (truth, prediction), (~truth, truth), (truth, ~prediction)):
        assert boundary_accuracy(*pair) == boundary_accuracy_plain(*pair)


def test_identical_masks_score_one():
    mask = _blobs(np.random.default_rng(0), (60, 80))
    assert region_similarity(mask, mask) == boundary_accuracy(mask, mask) == 1


def test_empty_masks():
    empty, some = np.zeros((2, 30, 40), bool)
    some[5:15, 5:15] = True
    for measure in (region_similarity, boundary_accuracy):
        assert measure(empty, empty) == 1
        assert measure(some, empty) == measure(empty, some) == 0


def test_a_mask_of_the_whole_frame_has_no_boundary():
    full = np.ones((30, 40), bool)
    assert boundary_accuracy(full, full) == boundary_accuracy(full, ~full) == 1
    assert region_similarity(full, ~full) == 0


def test_boundary_tolerance_is_rounded_up():
    truth, prediction = np.zeros((2, 100, 100), bool)      # diagonal 141.4, 0.008 of it 1.13: two pixels
    truth[:, 50:], prediction[:, 52:] = True, True
    assert boundary_accuracy(truth, prediction) == 1
    assert boundary_accuracy(truth, np.roll(prediction, 1, axis=1) & truth) == 0


def test_void_is_background_as_in_the_official_toolkit():
    truth, prediction = np.zeros((2, 40, 40), np.uint8)
    truth[10:20, 10:20], truth[:, 20:] = 1, 255
    prediction[10:20, 10:30] = 1                            # half of it on void: 100 pixels of 200
    ((j, f),) = score_frame(truth, prediction, [1])
    assert j == 0.5
    assert f == boundary_accuracy(truth == 1, prediction == 1) < 1


def test_masks_of_two_shapes_are_refused():
    for measure in (region_similarity, boundary_accuracy):
        with pytest.raises(ValueError, match="one shape"):
            measure(np.zeros((4, 5), bool), np.zeros((5, 4), bool))


def test_recall_counts_scores_strictly_above_a_half():
    assert statistics([0.5, 0.5000001, 0.2, 1.0]).recall == 0.5


@pytest.mark.parametrize("values", [[0.3], [0.9, 0.1], [0.9, 0.5, 0.1]])
def test_very_short_sequences_have_statistics(values):
    found = statistics(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.recall == np.mean(np.greater(values, 0.5))
    # Three frames: limits 1, 1.5, 2, 2.5, 3 round to 1, 2, 2, 3, 3.
    expected = {1: 0.0, 2: 0.9 - 0.1, 3: (0.9 + 0.5) / 2 - 0.1}[len(values)]
    assert found.decay == pytest.approx(expected)


def test_statistics_of_nothing_are_nan():
    assert all(math.isnan(value) for value in vars(statistics([])).values())


@pytest.mark.parametrize("frames", [256, 257, 300, 1001])
def test_decay_of_a_straight_line_past_eight_bits(frames):
    # A quarter of a falling line has the mean of its two limits.
    values = np.linspace(1, 0, frames)
    q = [math.floor(1 + (frames - 1) * part / 4 + 0.5) - 1 for part in (0, 1, 3, 4)]
    expected = (values[q[0]] + values[q[1]] - values[q[2]] - values[q[3]]) / 2
    assert statistics(values).decay == pytest.approx(expected, abs=1e-9)


def _blobs(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A few rectangles and noise, often cut by the frame's borders, sometimes nothing."""
    mask = np.zeros(size, bool)
    for _ in range(random.integers(0, 4)):
        top, left = (int(random.integers(-limit // 3, limit)) for limit in size)
        height, width = (int(random.integers(1, limit // 2)) for limit in size)
        mask[max(top, 0):max(top + height, 0), max(left, 0):max(left + width, 0)] ^= True
    if mask.any() and random.random() < 0.5:
        mask &= random.random(size) < 0.9
    return mask
