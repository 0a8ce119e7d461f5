"""What the synthetic clips and data sets promise."""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.masks import read_labels
from dataset.synthetic import make_davis, make_static, make_youtube
from dataset.synthetic_clip import SyntheticClip

SIZE = (48, 80)
SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "make_synthetic.py"


def labels_of(clip: SyntheticClip, frames: int) -> np.ndarray:
    return np.stack([clip.frame(t)[1] for t in range(frames)])


def contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*")) if path.is_file()
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Clips


def test_a_frame_depends_on_seed_and_number_alone():
    one, other = SyntheticClip(3, SIZE), SyntheticClip(3, SIZE)
    for t in (0, 7, 2):
        other.frame(t)
    for ours, theirs in zip(one.frame(5), other.frame(5), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (one.frame(5)[0] != one.frame(6)[0]).any()
    assert (one.frame(5)[0] != SyntheticClip(4, SIZE).frame(5)[0]).any()


def test_image_and_labels_have_the_asked_size_and_labels_are_object_numbers():
    clip = SyntheticClip(1, (64, 48), length=4, objects=3)
    frames = list(clip)
    assert len(frames) == len(clip) == 4
    for image, labels in frames:
        assert (image.shape, image.dtype) == ((64, 48, 3), np.uint8)
        assert (labels.shape, labels.dtype) == ((64, 48), np.uint8)
        assert set(np.unique(labels)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(12))
def test_every_object_shows_in_frame_0(seed: int):
    labels = SyntheticClip(seed, SIZE, objects=1 + seed % 4).frame(0)[1]
    for number in range(1, 2 + seed % 4):
        assert (labels == number).mean() > 0.015


@pytest.mark.parametrize("seed", range(4))
def test_a_late_object_is_absent_before_it_appears(seed: int):
    clip = SyntheticClip(seed, SIZE, objects=2, late=10)
    assert clip.appears == {1: 0, 2: 10}
    seen = (labels_of(clip, 11) == 2).any(axis=(1, 2))
    assert seen.tolist() == [False] * 10 + [True]


def test_objects_move_smoothly():
    clip = SyntheticClip(0, (96, 160), objects=1)
    masks = labels_of(clip, 20) == 1
    for before, after in pairwise(masks):
        assert (before & after).sum() > 0.6 * (before | after).sum()
    assert (masks[0] & masks[-1]).sum() < 0.9 * (masks[0] | masks[-1]).sum()


@pytest.mark.slow
def test_some_object_leaves_the_frame_and_returns():
    def returns(seed: int) -> bool:
        labels = labels_of(SyntheticClip(seed, SIZE), 120)
        seen = [(labels == number).any(axis=(1, 2)) for number in (1, 2)]
        return any(not shown[: np.flatnonzero(shown)[-1]].all() for shown in seen)

    assert sum(returns(seed) for seed in range(16)) >= 2


def test_objects_are_occluded_by_one_another_and_by_the_foreground():
    occluders = set()
    for seed in range(8):
        clip = SyntheticClip(seed, SIZE)
        for t in range(0, 60, 4):
            labels = clip.frame(t)[1]
            for body in clip._bodies:
                alone = np.zeros(SIZE, np.uint8)
                body.paint(np.zeros((*SIZE, 3), np.float32), alone, t)
                hidden_by = labels[(alone > 0) & (labels != body.number)]
                occluders |= set(np.unique(hidden_by).tolist())
    assert occluders == {0, 1, 2}


def test_motion_stays_bounded_in_an_endless_stream():
    clip = SyntheticClip(5, SIZE, length=10)
    shares = [(clip.frame(t)[1] > 0).mean() for t in range(10**6, 10**6 + 400, 10)]
    assert max(shares) < 0.6
    assert np.median(shares) > 0.01


@pytest.mark.parametrize("wrong", [{"objects": 0}, {"size": (16, 80)}, {"length": 0}, {"seed": -1}])
def test_arguments_out_of_range_are_refused(wrong: dict):
    with pytest.raises(ValueError, match="expected"):
        SyntheticClip(**{"seed": 0, "size": SIZE} | wrong)


# Layouts


def test_static_pairs_an_image_with_a_gray_mask(tmp_path: Path):
    make_static(tmp_path, images=2, size=SIZE, progress=False)
    assert names(tmp_path) == ["00001.jpg", "00001.png", "00002.jpg", "00002.png"]
    mask = Image.open(tmp_path / "00002.png")
    assert (mask.mode, mask.size) == ("L", SIZE[::-1])
    assert set(np.unique(mask)) == {0, 255}
    assert Image.open(tmp_path / "00002.jpg").mode == "RGB"


def test_davis_annotates_every_frame(tmp_path: Path):
    make_davis(tmp_path, {"train": 2, "val": 1}, frames=3, size=SIZE, progress=False)
    assert (tmp_path / "ImageSets/2017/train.txt").read_text() == "clip-000\nclip-001\n"
    assert (tmp_path / "ImageSets/2017/val.txt").read_text() == "clip-002\n"
    for name in ("clip-000", "clip-001", "clip-002"):
        assert names(tmp_path / "JPEGImages/480p" / name) == ["00000.jpg", "00001.jpg", "00002.jpg"]
        assert names(tmp_path / "Annotations/480p" / name) == ["00000.png", "00001.png", "00002.png"]
    mask = tmp_path / "Annotations/480p/clip-002/00000.png"
    assert Image.open(mask).mode == "P"
    assert set(np.unique(read_labels(mask))) == {0, 1, 2}


def test_youtube_train_annotates_every_fifth_frame(tmp_path: Path):
    make_youtube(tmp_path, {"train": 2}, frames=12, size=SIZE, progress=False)
    videos = json.loads((tmp_path / "train/meta.json").read_text())["videos"]
    assert sorted(videos) == names(tmp_path / "train/JPEGImages") == names(tmp_path / "train/Annotations")
    for name, video in videos.items():
        assert len(names(tmp_path / "train/JPEGImages" / name)) == 12
        annotations = tmp_path / "train/Annotations" / name
        assert names(annotations) == ["00000.png", "00005.png", "00010.png"]
        for number, entry in video["objects"].items():
            shown = [path.stem for path in sorted(annotations.iterdir()) if (read_labels(path) == int(number)).any()]
            assert entry["frames"] == shown
            assert entry["category"]


def test_youtube_valid_annotates_an_object_only_where_it_first_appears(tmp_path: Path):
    make_youtube(tmp_path, {"valid": 3}, frames=22, size=SIZE, progress=False)
    videos = json.loads((tmp_path / "valid/meta.json").read_text())["videos"]
    for name, video in videos.items():
        first = {int(number): entry["frames"][0] for number, entry in video["objects"].items()}
        assert min(first.values()) == "00000" < max(first.values())
        given = tmp_path / "valid/Annotations" / name
        truth = tmp_path / "valid_ground_truth/Annotations" / name
        assert names(given) == sorted({f"{frame}.png" for frame in first.values()})
        assert names(truth) == [f"{t:05d}.png" for t in range(0, 22, 5)]
        for path in given.iterdir():
            labels = read_labels(path)
            newcomers = [number for number, frame in first.items() if frame == path.stem]
            assert set(np.unique(labels)) - {0} == set(newcomers)
            full = read_labels(truth / path.name)
            np.testing.assert_array_equal(labels, np.where(np.isin(full, newcomers), full, 0))


def test_the_same_arguments_give_the_same_files(tmp_path: Path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_youtube(tmp_path / folder, {"train": 1, "valid": 1}, frames=11, size=SIZE, seed=seed, progress=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


@pytest.mark.slow
def test_the_script_replaces_only_what_it_wrote_and_only_when_told(tmp_path: Path):
    def run(*extra: str) -> subprocess.CompletedProcess:
        options = ["--output", str(tmp_path), "--kind", "static", "--size", "32", "48", "--videos", "1"]
        return subprocess.run([sys.executable, str(SCRIPT), *options, *extra], capture_output=True, text=True)

    assert run().returncode == 0
    assert len(list((tmp_path / "static").glob("*.jpg"))) == 10
    refused = run()
    assert refused.returncode == 2
    assert "not empty" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert run("--overwrite").returncode == 0

    (tmp_path / "static" / ".synthetic").unlink()
    refused = run("--overwrite")
    assert refused.returncode == 2
    assert "another origin" in refused.stderr
    assert len(list((tmp_path / "static").glob("*.jpg"))) == 10
