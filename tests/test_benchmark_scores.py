"""The scores of LVOS, MOSE v2, VOST and Long-time Video on masks whose scores are worked out by hand."""

import json
import math

import numpy as np
import pytest

from dataset.benchmarks import FrameRange, benchmark_videos
from dataset.errors import DatasetError
from inference.scoring.benchmarks import all_and_each, has_all_truths, mose_frame, rule_of, score_videos
from inference.scoring.reappearance import disappeared_and_reappeared
from tests.benchmark_data import HALF, NOTHING, STEP, F, J, write_lvos_meta, write_masks, write_video


def scores_of(root, benchmark, results, **more):
    videos = benchmark_videos(root, benchmark)
    rule = rule_of(benchmark, **more)
    truths = {video.name: video.ground_truth for video in videos}
    assert all(has_all_truths(video, truths[video.name], rule) for video in videos)
    return all_and_each(score_videos(videos, truths, results, rule), rule)


def close(values):
    return pytest.approx(values, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("end", "count"), [(21, 5), (22, 5)])       # the last frame outside the series, or inside it
def test_lvos_skips_the_first_and_the_last_annotated_frame(end, count):
    assert FrameRange(1, end, count).scored() == ["00000006", "00000011", "00000016"]
    assert FrameRange(1, 3, 1).scored() == []


def test_lvos(tmp_path):
    root, results = tmp_path / "valid", tmp_path / "results"
    names = [f"{number:08d}" for number in (1, 6, 11, 16, 21)]
    write_video(root, "seen", dict.fromkeys(names, HALF), results, [NOTHING, HALF, STEP, NOTHING, NOTHING])
    late = dict(zip(names, [NOTHING, HALF, HALF, HALF, HALF], strict=True))        # object 1 appears at frame 6
    write_video(root, "unseen", late, results, [HALF, NOTHING, STEP, NOTHING, NOTHING])
    write_lvos_meta(root, {"seen": {1: (1, 21, 5)}, "unseen": {1: (6, 16, 3)}})
    overall, each = scores_of(tmp_path, "lvos", results, unseen=["unseen"])
    # seen: frames 6, 11, 16 score J = 1, 2/3, 0 and F = 1, 0.44, 0; unseen: frame 11 alone, J = 2/3 and F = 0.44
    both = [1, (J + F) / 2, 0]
    mean = sum(both) / 3
    deviation = math.sqrt(sum((value - mean) ** 2 for value in both) / 3)
    expected = {"J-seen": 5 / 9, "J-unseen": J, "F-seen": 0.48, "F-unseen": F,
                "J&F": (5 / 9 + J + 0.48 + F) / 4, "V": deviation / 2}
    assert overall == close(expected)
    assert each["unseen"] == close({"J-seen": math.nan, "J-unseen": J, "F-seen": math.nan, "F-unseen": F,
                                    "J&F": (J + F) / 2, "V": 0})


def test_lvos_objects_count_in_their_own_ranges(tmp_path):
    root, results = tmp_path, tmp_path / "results"
    names = [f"{number:08d}" for number in (1, 6, 11, 16)]
    truth = HALF + 2 * (np.arange(40) >= 30).astype(np.uint8)            # object 2 is right at the border
    write_video(root, "a", dict.fromkeys(names, truth), results, [HALF] * 4)       # object 2 is never found
    write_lvos_meta(root, {"a": {1: (1, 16, 4), 2: (6, 16, 3)}})
    (video,), rule = benchmark_videos(root, "lvos"), rule_of("lvos")
    scores = score_videos([video], {"a": video.ground_truth}, results, rule)["a"]
    assert [(score.number, score.j, score.f) for score in scores] == [(1, [1, 1], [1, 1]), (2, [0], [0])]


def test_mose_measures_a_frame():
    # Diagonal 500: at most 4 pixels. A square of 30 x 30 moved by 4: area 900, so boundaries match within 3 pixels.
    # Its boundary is a ring of 31 x 31, 120 pixels. Matched are 30 pixels of the upper row, 30 of the lower one, and 3
    # each below and above the two corners of the nearer side: 66. J = (26 * 30 + 1) / (34 * 30 + 1).
    truth, found = np.zeros((2, 300, 400), np.uint8)
    truth[100:130, 100:130], found[100:130, 104:134] = 1, 1
    assert mose_frame(truth, found, [1]) == [close((781 / 1021, 66 / 120))]
    assert mose_frame(truth, truth, [1, 2]) == [(1, 1), (1, 1)]                    # object 2 is in neither
    assert mose_frame(truth * 0, found, [1]) == [close((1 / 901, 0))]


def test_mose_takes_the_fractional_disk_of_its_toolkit():
    # Diagonal 300: at most 2.4 pixels, less than the 14 of an object of 18,000 pixels. The toolkit's disk of 2.4 covers
    # offsets -2 to 1 in both directions: a boundary 2 columns to the right is precise (1) but recalls nothing (0).
    columns = np.arange(240)
    truth = np.tile((columns < 100).astype(np.uint8), (180, 1))
    for shift, f in ((1, 1), (-1, 1), (2, 0), (3, 0)):
        found = np.tile((columns < 100 + shift).astype(np.uint8), (180, 1))
        assert mose_frame(truth, found, [1])[0][1] == f


def test_what_is_gone_and_what_came_back():
    shown = [True, False, False, True, True, False, True]
    j = [1.0, 0.2, 0.4, 0.5, 0.7, 0.8, 0.1]
    # gone: frames 1-2 (mean 0.3) and 5 (0.8); back: frames 3-4 (0.6) and 6 (0.1)
    assert disappeared_and_reappeared(j, j, shown) == close((0.55, 0.35))
    assert disappeared_and_reappeared(j, [0.0] * 7, shown) == close((0.275, 0.175))
    assert disappeared_and_reappeared([0.9, 0.4], [0.9, 0.4], [True, True]) == close((math.nan, math.nan))
    assert disappeared_and_reappeared([0.9, 0.4], [0.9, 0.4], [False, True]) == close((math.nan, 0.4))


def test_mose(tmp_path):
    root, results = tmp_path / "valid", tmp_path / "results"
    names = [f"{number:05d}" for number in range(6)]
    square, empty = np.zeros((2, 300, 400), np.uint8)
    square[100:130, 100:130] = 1
    moved = np.roll(square, 4, axis=1)
    truths = [square, square, empty, empty, square, square]
    write_video(root, "a", dict(zip(names, truths, strict=True)), results,
                [empty, moved, empty, square, moved, empty])
    # frames 1 to 4: J = 781/1021, 1, 1/901, 781/1021; F = 0.55, 1, 0, 0.55; gone in 2 and 3, back in 4
    j, f = 781 / 1021, 0.55
    overall, _ = scores_of(tmp_path, "mose", results)
    mean_j, mean_f = (2 * j + 1 + 1 / 901) / 4, (2 * f + 1) / 4
    assert overall == close({"J": mean_j, "F": mean_f, "J&F": (mean_j + mean_f) / 2,
                             "J&F-d": (1 + (1 / 901) / 2) / 2, "J&F-r": (j + f) / 2})


def test_mose_takes_its_objects_from_the_metadata(tmp_path):
    names = [f"{number:05d}" for number in range(3)]
    write_video(tmp_path, "a", dict.fromkeys(names, HALF), tmp_path / "results", [HALF] * 3)
    (tmp_path / "meta.json").write_text(json.dumps({"videos": {"a": {"objects": {"1": {}, "2": {}}}}}))
    (video,), rule = benchmark_videos(tmp_path, "mose"), rule_of("mose")
    scores = score_videos([video], {"a": video.ground_truth}, tmp_path / "results", rule)["a"]
    assert [score.number for score in scores] == [1, 2]


def test_vost(tmp_path):
    results = tmp_path / "results"
    names = [f"frame{number:05d}" for number in range(12, 72, 6)]                  # 10 annotated frames
    found = [NOTHING, HALF, HALF, HALF, HALF, HALF, NOTHING, STEP, NOTHING, NOTHING]
    write_video(tmp_path, "cut", dict.fromkeys(names, HALF), results, found)
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets/val.txt").write_text("cut\n")
    # 8 frames are scored: 1, 1, 1, 1, 1, 0, 2/3, 0; the last quarter begins at floor(0.75 * 8) = 6
    assert scores_of(tmp_path, "vost", results)[0] == close({"J": (5 + J) / 8, "J-tr": J / 2})


def test_vost_has_the_objects_of_the_first_mask_and_void_is_background(tmp_path):
    names = [f"frame{number:05d}" for number in range(4)]
    later = np.where(HALF, HALF, 2).astype(np.uint8)
    later[:, 20:] = 255
    truths = dict(zip(names, [HALF, later, later, later], strict=True))
    write_video(tmp_path, "cut", truths, tmp_path / "results", [np.ones_like(HALF)] * 4)
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets/val.txt").write_text("cut\n")
    assert scores_of(tmp_path, "vost", tmp_path / "results")[0] == close({"J": 200 / 800, "J-tr": 200 / 800})


def test_long_time_video_scores_every_annotated_frame_after_the_first(tmp_path):
    results = tmp_path / "results"
    write_video(tmp_path, "rat", dict.fromkeys(["00000", "00500", "01000", "01500"], HALF), results,
                [NOTHING, HALF, STEP, NOTHING])
    for number in range(1, 500):
        (tmp_path / f"JPEGImages/rat/{number:05d}.jpg").touch()                    # frames without masks
    overall = scores_of(tmp_path, "longvideo", results)[0]
    # quarters of 3 frames: limits 1, 1.5, 2, 2.5, 3 round to 1, 2, 2, 3, 3, so the decay is (first + second) / 2 - last
    assert overall == close({
        "J&F-Mean": (1 + J + 1 + F) / 6, "J-Mean": (1 + J) / 3, "J-Recall": 2 / 3, "J-Decay": (1 + J) / 2,
        "F-Mean": (1 + F) / 3, "F-Recall": 1 / 3, "F-Decay": (1 + F) / 2})


def test_what_cannot_be_scored_is_named(tmp_path):
    root, names = tmp_path / "valid", [f"{number:08d}" for number in (1, 6, 11)]
    write_video(root, "a", dict.fromkeys(names, HALF), tmp_path / "results", [HALF] * 3)
    write_lvos_meta(root, {"a": {1: (1, 16, 4)}})                                  # frame 16 is not there
    (video,), rule = benchmark_videos(tmp_path, "lvos"), rule_of("lvos")
    assert has_all_truths(video, video.ground_truth, rule)
    (root / "Annotations/a/00000006.png").unlink()
    (video,) = benchmark_videos(tmp_path, "lvos")
    assert not has_all_truths(video, video.ground_truth, rule)
    with pytest.raises(DatasetError, match=r"a/00000006\.png: expected a label map"):
        score_videos([video], {"a": video.ground_truth}, tmp_path / "results", rule)
    write_masks(tmp_path / "more", {})
    with pytest.raises(DatasetError, match="check the root"):
        benchmark_videos(tmp_path / "more", "mose")
