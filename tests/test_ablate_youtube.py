"""scripts/ablate.py over YouTube-VOS and folders like it: the scores, masks and archives of eval_youtube.py."""

import csv
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import eval_youtube
from dataset.folder import FolderSequence
from dataset.masks import VOID, write_labels
from dataset.synthetic import make_youtube
from inference.ablation.data import DavisData
from inference.ablation.records import SequenceRecord, SettingReport, mask_folder, open_ablation, write_sequence
from inference.run.folder import RunFolder
from inference.scoring.live import LiveScores
from inference.scoring.youtube import score_video
from scripts import ablate, report

BANKS = {"every_k-every5-top5": ["--memory", "every_k"],
         "lfu1-every5-top5-topk": ["--memory", "lfu", "--memory-frames", "1"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two videos; one object is of a category that the training set lacks."""
    root = tmp_path_factory.mktemp("YouTube-VOS")
    make_youtube(root, videos={"train": 1, "valid": 2}, frames=11, size=(48, 70), progress=False)
    meta = json.loads((root / "valid/meta.json").read_text())
    next(iter(meta["videos"].values()))["objects"]["1"]["category"] = "rare"
    (root / "valid/meta.json").write_text(json.dumps(meta))
    return root


def flags(root, weights, output, *more):
    return ["--youtube-root", str(root / "valid"), "--weights", str(weights), "--output", str(output),
            "--device", "cpu", "--top-k", "5", *more]


def rows_of(output):
    with open(output / "ablation.csv", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.slow
def test_scores_masks_and_archives_are_those_of_single_runs(root, weights, tmp_path):
    more = ["--ground-truth", str(root / "valid_ground_truth/Annotations"),
            "--seen-from", str(root / "train/meta.json"), "--zip"]
    ablate.main(flags(root, weights, tmp_path / "ablation", *more, "--memory", "every_k", "lfu",
                      "--memory-frames", "1"))
    run = json.loads((tmp_path / "ablation/run.json").read_text())
    assert run["settings"]["short_side"] == 480
    means = {row["memory"]: row for row in rows_of(tmp_path / "ablation") if row["sequence"] == "(mean)"}
    for name, bank in BANKS.items():
        alone = tmp_path / name
        eval_youtube.main(flags(root, weights, alone, *more, *bank))
        scores = json.loads((alone / "run.json").read_text())["scores"]
        assert run["results"][name]["scores"] == scores
        assert scores["J-unseen"] is not None
        assert {column: means[bank[1]][column] for column in scores} == {c: f"{s:.6f}" for c, s in scores.items()}
        for file in ("submission.zip", *(str(path.relative_to(alone)) for path in alone.rglob("*.png"))):
            assert (alone / file).read_bytes() == (tmp_path / "ablation" / name / file).read_bytes()
    assert len(zipfile.ZipFile(alone / "submission.zip").namelist()) >= 6


@pytest.mark.slow
def test_without_ground_truth_speed_and_masks_and_the_servers_scores_make_figure_11(root, weights, tmp_path, capsys):
    (video, *_) = sorted(path.name for path in (root / "valid/JPEGImages").iterdir())
    output = tmp_path / "figure11"
    ablate.main(flags(root, weights, output, "--sequences", video, "--memory", "lfu", "--memory-frames", "1", "2",
                      "--write-masks"))
    assert "not scored: the annotations do not cover the required frames" in capsys.readouterr().out
    assert {(row["J&F"], row["J-seen"], row["frames"]) for row in rows_of(output)} == {("", "", "11")}
    assert all(float(row["fps"]) > 0 for row in rows_of(output))
    assert not (output / "score_over_capacity.png").exists()
    assert "scripts/report.py, with --server-scores" in (output / "ablation.md").read_text()
    assert (output / "lfu2-every5-top5-topk/Annotations" / video / "00005.png").is_file()

    (tmp_path / "scores.csv").write_text("run,overall,j_seen,f_seen,j_unseen,f_unseen\n" + "".join(
        f"lfu{frames}-every5-top5-topk,{score},{score},{score},{score},{score}\n"
        for frames, score in ((1, 80), (2, 82.5))))
    report.main([str(output), "--server-scores", str(tmp_path / "scores.csv"), "--output", str(tmp_path / "page.md")])
    page = (tmp_path / "page.md").read_text()
    assert [line.split("|")[2].strip() for line in page.splitlines() if line.startswith("| LFU, ")] == ["80.0", "82.5"]
    assert (tmp_path / "page-capacity.png").is_file()


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "--davis-root, --youtube-root: expected one of them, found none; give the data"),
    (["--davis-root", "D", "--youtube-root", "Y"], "expected one of them, found both"),
    (["--youtube-root", "Y", "--year", "2016"], "--year: expected --davis-root beside it"),
    (["--davis-root", "D", "--all-frames-root", "Y"], "--all-frames-root: expected --youtube-root beside it"),
    (["--davis-root", "D", "--zip"], "--zip: expected --youtube-root beside it"),
])
def test_flags_that_do_not_belong_together(arguments, words, refused, tmp_path):
    with refused(words):
        ablate.main([*arguments, "--weights", "compact", "--output", str(tmp_path / "out"), "--device", "cpu"])


def test_ground_truth_in_gray_levels_is_refused_before_any_work(root, weights, tmp_path, refused):
    for video in (root / "valid/JPEGImages").iterdir():
        (tmp_path / "truth" / video.name).mkdir(parents=True)
        write_labels(tmp_path / "truth" / video.name / "00000.png", np.arange(48 * 70, dtype=np.uint8).reshape(48, 70))
    with refused("00000.png: expected"):
        ablate.main(flags(root, weights, tmp_path / "out", "--ground-truth", str(tmp_path / "truth")))
    assert not (tmp_path / "out").exists()


def test_late_objects_count_as_in_the_scores_of_files(tmp_path):
    random = np.random.default_rng(0)
    truths, predictions = (random.integers(0, 3, (6, 20, 30), dtype=np.uint8) for _ in range(2))
    truths[:2][truths[:2] == 2] = 0                        # object 2 appears in the third frame
    truths[:, :3] = VOID
    paths = {}
    for index, (truth, prediction) in enumerate(zip(truths, predictions, strict=True)):
        paths[f"{index:05d}"] = tmp_path / f"truth{index}.png"
        write_labels(paths[f"{index:05d}"], truth)
        write_labels(tmp_path / f"{index:05d}.png", prediction)
    with ThreadPoolExecutor(2) as pool:
        live = LiveScores([], pool, late=True)
        for truth, prediction in zip(truths, predictions, strict=True):
            live.add(truth, prediction)
        found = live.finish()
    expected = {score.number: (score.j, score.f) for score in score_video("video", paths, tmp_path, {})}
    assert found == expected
    assert [len(j) for j, _ in found.values()] == [5, 3]


def test_sequences_whose_labels_are_secret_are_not_scored():
    frames = [Path(f"{index:05d}.jpg") for index in range(3)]
    first = {"00000": Path("00000.png")}
    data = DavisData([FolderSequence("clip", frames, first, ground_truth=first)])
    assert (data.truths, data.scores({})) == (None, ({}, {}))


def test_an_ablation_of_other_data_is_overwritten_as_a_whole(tmp_path):
    report = SettingReport(3, 1.0, 2.0, 1.0, 2.0, 64, True, {})
    youtube = RunFolder(tmp_path / "out", {"command": "ablate", "youtube_root": "valid"}, {}, "Annotations")
    open_ablation(youtube, [], [], masks=True)
    write_sequence(youtube, "video", SequenceRecord([], {"lfu2": report}))
    mask_folder(youtube, "lfu2", "video").mkdir(parents=True)
    for file in ("submission.zip", "mine.txt"):
        (tmp_path / "out/lfu2" / file).touch()
    davis = RunFolder(tmp_path / "out", {"command": "ablate", "davis_root": "DAVIS"}, {})
    open_ablation(davis, [], [], masks=True, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == [".records", "mine.txt", "run.json"]
    assert not mask_folder(youtube, "lfu2", "video").exists()
