"""eval_youtube.py: objects that appear at any frame, the frames asked for, the server's archive, local scores."""

import json
import math
import shutil
import zipfile

import numpy as np
import pytest

import eval_youtube
from dataset.errors import DatasetError
from dataset.masks import read_labels, write_image, write_labels
from dataset.synthetic import make_youtube
from dataset.youtube import youtube_sequences
from inference.scoring.youtube import ObjectScore, score_video, seen_and_unseen
from model.storage import save_file


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("YouTube")
    make_youtube(root, videos={"train": 1, "valid": 3}, frames=14, size=(48, 70), progress=False)
    return root


def evaluate(root, weights, output, *more):
    eval_youtube.main([
        "--youtube-root", str(root), "--weights", str(weights), "--output", str(output), "--device", "cpu",
        "--memory-every", "2", "--top-k", "5", *more,
    ])
    return json.loads((output / "run.json").read_text())


@pytest.mark.slow
def test_golden_late_object_comes_out_of_the_command(shared, seeded_state, tmp_path):
    golden = np.load(shared / "golden/propagate_late_object.npz")
    late = int(golden["late"])
    for index, frame in enumerate(golden["frames"]):
        path = tmp_path / "root/JPEGImages/golden" / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, frame)
        path.rename(path.with_suffix(".jpg"))
    annotations = tmp_path / "root/Annotations/golden"
    annotations.mkdir(parents=True)
    write_labels(annotations / "00000.png", golden["first_mask"])
    write_labels(annotations / f"{late:05d}.png", golden["late_mask"])
    objects = {str(number): {"category": "thing", "frames": [f"{first:05d}"]} for number, first in ((1, 0), (2, late))}
    (tmp_path / "root/meta.json").write_text(json.dumps({"videos": {"golden": {"objects": objects}}}))
    save_file(tmp_path / "stcn.pth", seeded_state("multi"))

    eval_youtube.main([
        "--youtube-root", str(tmp_path / "root"), "--weights", str(tmp_path / "stcn.pth"), "--output",
        str(tmp_path / "out"), "--memory", "every_k", "--memory-every", "2", "--short-side", "0",
        "--write-all-frames", "--device", "cpu",
    ])
    for index in range(1, len(golden["frames"])):
        labels = read_labels(tmp_path / "out/Annotations/golden" / f"{index:05d}.png")
        assert (labels == golden["mask"][index]).mean() >= 0.999


def test_objects_that_appear_later_keep_their_numbers(shared, weights, tmp_path, capsys):
    """A real clip with four objects; one mask is a pixel narrower than its frame."""
    root = shared / "data/late_objects"
    run = evaluate(root, weights, tmp_path / "out", "--short-side", "96")
    assert run["sequences"]["judo"]["objects"] == 4
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "00005.png: 853x480 pixels, resized" in warnings[0]
    for name, number in (("00000", 1), ("00005", 2), ("00008", 3), ("00013", 4)):
        labels = read_labels(tmp_path / "out/Annotations/judo" / f"{name}.png")
        assert labels.shape == (480, 854)
        assert set(np.unique(labels)) <= set(range(number + 1))
        given = read_labels(root / "Annotations/judo" / f"{name}.png")
        if given.shape == labels.shape:
            assert (labels[given == number] == number).mean() > 0.9


@pytest.mark.slow
def test_only_the_frames_asked_for_are_written_and_zipped_as_the_server_wants(root, weights, tmp_path):
    run = evaluate(root / "valid", weights, tmp_path / "out", "--zip")
    asked = {
        f"Annotations/{video}/{frame}.png"
        for video, entry in json.loads((root / "valid/meta.json").read_text())["videos"].items()
        for thing in entry["objects"].values() for frame in thing["frames"]
    }
    with zipfile.ZipFile(tmp_path / "out/submission.zip") as archive:
        assert set(archive.namelist()) == asked
        assert all(archive.read(name) == (tmp_path / "out" / name).read_bytes() for name in asked)
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").glob("Annotations/*/*")} == asked
    assert run["settings"]["all_frames_root"] is None
    every = evaluate(root / "valid", weights, tmp_path / "every", "--write-all-frames")
    assert len(list((tmp_path / "every").glob("Annotations/*/*.png"))) == every["totals"]["frames"] == 3 * 14


@pytest.mark.slow
def test_scores_where_ground_truth_is_at_hand(root, weights, tmp_path, capsys):
    run = evaluate(root / "valid", weights, tmp_path / "out")
    assert "scores" not in run
    assert "not scored" in capsys.readouterr().out
    truth = root / "valid_ground_truth/Annotations"
    run = evaluate(root / "valid", weights, tmp_path / "out", "--ground-truth", str(truth), "--seen-from",
                   str(root / "train/meta.json"))
    assert 0 <= run["scores"]["J-seen"] <= 1
    assert run["scores"]["J-unseen"] is None               # one category: all are seen


def test_a_perfect_result_scores_one_and_an_object_counts_after_it_appears(root):
    truth = root / "valid_ground_truth/Annotations"
    for video in truth.iterdir():
        paths = {path.stem: path for path in sorted(video.iterdir())}
        for score in score_video(video.name, paths, video, {}):
            assert set(score.j) == set(score.f) == {1.0}
            first = next(i for i, path in enumerate(paths.values()) if (read_labels(path) == score.number).any())
            assert len(score.j) == len(paths) - first - 1


def test_seen_and_unseen_are_means_over_objects():
    scores = [
        ObjectScore("a", 1, "cat", [1.0, 0.0], [1.0]), ObjectScore("a", 2, "cat", [1.0], [0.0]),
        ObjectScore("b", 1, "yak", [0.25], [0.75]),
    ]
    assert seen_and_unseen(scores, {"cat"}) == {
        "J-seen": 0.75, "J-unseen": 0.25, "F-seen": 0.5, "F-unseen": 0.75, "J&F": 0.5625
    }
    assert math.isnan(seen_and_unseen(scores, None)["J-unseen"])


def test_a_folder_without_meta_gives_each_object_once_where_it_first_appears(root):
    """Whole ground truth in Annotations, as in LVOS's or MOSE's training folders, is not given away."""
    videos = youtube_sequences(root / "train")
    bare = youtube_sequences_without_meta(root)
    for video, same in zip(videos, bare, strict=True):
        seen = set()
        for frame in same:
            labels = set() if frame.annotation is None else set(np.unique(frame.annotation)) - {0}
            assert not labels & seen
            seen |= labels
        assert len(seen) > 0
        assert same.required == frozenset(video.frame_names)


def youtube_sequences_without_meta(root):
    copy = root / "bare"
    if not copy.exists():
        shutil.copytree(root / "train", copy, ignore=shutil.ignore_patterns("meta.json"))
    return youtube_sequences(copy)


def test_bad_input_is_named(root, weights, tmp_path, capsys):
    shutil.copytree(root / "valid", tmp_path / "valid")
    video = sorted((tmp_path / "valid/Annotations").iterdir())[0]
    first = video / "00000.png"
    write_labels(first, read_labels(first)[:, :60])                     # another shape altogether
    with pytest.raises(SystemExit, match="2"):
        evaluate(tmp_path / "valid", weights, tmp_path / "out")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "00000.png: expected 70x48 pixels, the size of its frame" in error
    assert "60x48" in error
    (tmp_path / "valid/meta.json").write_text("[]")
    with pytest.raises(DatasetError, match=r"meta\.json: expected"):
        youtube_sequences(tmp_path / "valid")
    with pytest.raises(DatasetError, match="check --youtube-root"):
        youtube_sequences(tmp_path)
    with pytest.raises(DatasetError, match="did you mean"):
        youtube_sequences(root / "valid", names=["nothing"])
