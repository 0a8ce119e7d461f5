"""eval_folder.py and the data doctor over LVOS, MOSE, VOST and Long-time Video: layouts, masks, scores, faults."""

import json
import shutil
import zipfile

import numpy as np
import pytest

import eval_folder
from dataset.benchmarks import benchmark_videos
from dataset.check import check
from dataset.errors import DatasetError
from dataset.masks import write_image, write_labels
from inference.report.runs import read_runs
from scripts import explain, score_results
from tests.benchmark_data import write_lvos_meta
from tests.doctor import kinds

NAMES = [f"{number:08d}" for number in range(1, 31, 5)]
SQUARE = np.zeros((32, 48), np.uint8)
SQUARE[8:20, 4:18] = 1


@pytest.fixture
def lvos(tmp_path):
    """Two videos of six frames, every frame annotated: a square that moves, a second one that appears in frame 2."""
    root = tmp_path / "LVOS/valid"
    for video in ("old", "new"):
        for kind in ("JPEGImages", "Annotations"):
            (root / kind / video).mkdir(parents=True)
        for index, name in enumerate(NAMES):
            labels = np.roll(SQUARE, 2 * index, axis=1)
            labels[24:30, 30:44] = 2 * (index >= 2)
            write_image(root / "JPEGImages" / video / f"{name}.jpg", np.stack([80 + 80 * labels] * 3, -1))
            write_labels(root / "Annotations" / video / f"{name}.png", labels)
    write_lvos_meta(root, {video: {1: (1, 26, 6), 2: (11, 26, 4)} for video in ("old", "new")})
    return root.parent


def evaluate(benchmark, root, weights, output, *more):
    eval_folder.main([
        "--benchmark", benchmark, "--root", str(root), "--weights", str(weights), "--output", str(output), "--device",
        "cpu", "--memory-every", "2", "--top-k", "5", *more,
    ])
    return json.loads((output / "run.json").read_text())


@pytest.mark.slow
def test_a_run_over_lvos(lvos, weights, tmp_path, capsys):
    """Masks of every frame, scores, the archive; the same scores from the folder alone; a report; an explanation."""
    run = evaluate("lvos", lvos, weights, tmp_path / "out", "--zip", "--telemetry")
    assert "note: no unseen_videos.txt, so all videos count as seen" in capsys.readouterr().out
    assert run["scores"]["J-unseen"] is None
    (lvos / "unseen_videos.txt").write_text("new\n")
    run = evaluate("lvos", lvos, weights, tmp_path / "out")
    assert all(0 <= value <= 1 for value in run["scores"].values())
    assert run["settings"]["benchmark"] == "lvos"
    with zipfile.ZipFile(tmp_path / "out/submission.zip") as archive:
        assert set(archive.namelist()) == {f"Annotations/{video}/{name}.png" for video in ("old", "new")
                                           for name in NAMES}
    score_results.main(["--benchmark", "lvos", "--root", str(lvos), "--results", str(tmp_path / "out/Annotations"),
                        "--json", str(tmp_path / "scores.json")])
    written = json.loads((tmp_path / "scores.json").read_text())
    assert (written["global"], written["sequences"]) == (run["scores"], run["scores_per_sequence"])
    (row,) = read_runs([tmp_path / "out"])
    assert (row.data, row.columns[0], row.j_and_f) == ("LVOS valid", "J&F", run["scores"]["J&F"])
    explain.main(["--run", str(tmp_path / "out"), "--output", str(tmp_path / "why"), "--sequences", "new"])
    assert (tmp_path / "why/index.html").is_file()


def test_each_object_of_lvos_is_given_once(lvos):
    video = benchmark_videos(lvos, "lvos")[0]
    given = [frame.annotation for frame in video]
    assert [None if labels is None else sorted(set(labels.ravel().tolist())) for labels in given] == [
        [0, 1], None, [0, 2], None, None, None]
    assert [video.name for video in benchmark_videos(lvos / "valid", "lvos", names=["new"])] == ["new"]


def test_vost_and_long_videos_are_given_the_first_mask_alone(lvos):
    for benchmark in ("vost", "longvideo"):
        (lvos / "valid/ImageSets").mkdir(exist_ok=True)
        (lvos / "valid/ImageSets/val.txt").write_text("old\n")
        video = benchmark_videos(lvos / "valid", benchmark)[-1]
        assert [frame.annotation is not None for frame in video] == [True] + [False] * 5
        assert list(video.ground_truth) == NAMES
    (lvos / "valid/Annotations/old" / f"{NAMES[0]}.png").unlink()
    with pytest.raises(DatasetError, match="expected the mask of the first frame"):
        benchmark_videos(lvos / "valid", "vost")


def test_videos_are_not_scored_without_ground_truth(lvos, weights, tmp_path, capsys):
    for path in (lvos / "valid/Annotations").glob("*/*"):
        if path.stem not in (NAMES[0], NAMES[2]):
            path.unlink()
    (lvos / "valid/valid_meta.json").rename(lvos / "valid/meta.json")
    score_results.main(["--benchmark", "mose", "--root", str(lvos), "--results", str(tmp_path)])
    assert "not scored" in capsys.readouterr().out


def test_what_is_missing_is_named(lvos, tmp_path, refused):
    def score(benchmark, *more):
        score_results.main(["--benchmark", benchmark, "--root", str(lvos), "--results", str(tmp_path), *more])

    with refused("expected the list of videos of VOST"):
        (lvos / "valid").rename(lvos / "out")
        (lvos / "JPEGImages").symlink_to(lvos / "out/JPEGImages")
        (lvos / "Annotations").symlink_to(lvos / "out/Annotations")
        score("vost")
    with refused("expected the metadata of LVOS"):
        score("lvos")
    with refused("check --unseen"):
        score("lvos", "--unseen", "nothing.txt")
    for words in (["--benchmark", "lvos"], ["--root", "x", "--annotations", "x"], ["--benchmark", "vost", "--root", "x",
                  "--csv", "x"]):
        with pytest.raises(SystemExit, match="2"):
            score_results.main([*words, "--results", str(tmp_path)])


def test_the_doctor_on_a_sound_lvos(lvos):
    (lvos / "unseen_videos.txt").write_text("new\n")
    report = check(lvos)
    assert (report.title, report.findings) == ("LVOS, valid", [])
    assert report.counts == {"videos": 2, "frames": 12, "masks": 12, "objects": 4}
    assert check(lvos / "valid").title == "LVOS, valid"


def test_the_doctor_finds_the_faults_of_lvos(lvos):
    (lvos / "valid/unseen_videos.txt").write_text("new\ngone\n")
    (lvos / f"valid/JPEGImages/old/{NAMES[3]}.jpg").unlink()
    (lvos / f"valid/Annotations/new/{NAMES[3]}.png").unlink()
    shutil.copytree(lvos / "valid/JPEGImages/old", lvos / "valid/JPEGImages/extra")
    write_lvos_meta(lvos / "valid", {"old": {1: (1, 26, 6)}, "new": {1: (1, 26, 9), 2: (11, 26, 4)}, "lost": {}})
    report = check(lvos)
    assert kinds(report, "error") == {
        "frame of a range": 1, "mask of a range": 2, "mask without frame": 1, "missing folder": 1}
    assert kinds(report, "warning") == {"unknown video": 1, "frame range": 1}
    assert kinds(report, "note") == {"unlisted video": 1}
    (lvos / "valid/valid_meta.json").write_text("{}")
    assert kinds(check(lvos), "error")["metadata"] == 1


def test_the_doctor_on_vost_mose_and_long_videos(lvos):
    root = lvos / "valid"
    (root / "valid_meta.json").unlink()
    assert check(root).title == "YouTube-VOS (valid 2, no meta.json)"              # looks like it
    report = check(root, "mose")
    assert (report.title, kinds(report, "error")) == ("MOSE, valid, no metadata", {})
    for name in NAMES[1::2]:
        (root / f"Annotations/old/{name}.png").unlink()
    report = check(root, "longvideo")
    assert (report.title, report.findings) == ("Long-time Video, valid", [])
    write_labels(root / f"Annotations/new/{NAMES[2]}.png", SQUARE[:, 1:])           # scored: must have the same size
    (root / f"Annotations/old/{NAMES[0]}.png").unlink()
    (root / "ImageSets").mkdir()
    (root / "ImageSets/val.txt").write_text("new\nold\n")
    report = check(root)
    assert report.title == "VOST, valid"
    assert kinds(report, "error") == {"first frame without mask": 1, "mask of another size": 1}
