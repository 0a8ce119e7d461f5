"""Videos composed of several: what is where, in which order, and what is refused."""

import cv2
import numpy as np
import pytest

from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.masks import read_image, read_labels, write_image, write_labels
from dataset.video_composites import compose, compose_davis
from scripts import compose_videos

SIZE = 48, 96
SQUARES = {     # name: gray of the object, its left edge in the first frame, pixels it moves per frame, frames
    "ant": (90, 8, 0, 4), "bee": (160, 10, 2, 5), "cow": (230, 72, -24, 3),
}


@pytest.fixture
def root(tmp_path):
    """DAVIS 2016 with a square of 16 x 16 pixels per sequence, whose frames are PNGs, on black."""
    davis = tmp_path / "DAVIS"
    for name, (gray, left, step, frames) in SQUARES.items():
        for t in range(frames):
            labels = np.zeros(SIZE, np.uint8)
            labels[16:32, left + step * t:left + step * t + 16] = 255
            for kind in ("JPEGImages", "Annotations"):
                (davis / kind / "480p" / name).mkdir(parents=True, exist_ok=True)
            image = np.repeat((labels > 0)[..., None] * np.uint8(gray), 3, 2)
            write_image(davis / f"JPEGImages/480p/{name}/{t:05d}.png", image)
            write_labels(davis / f"Annotations/480p/{name}/{t:05d}.png", labels)
    (davis / "ImageSets/2016").mkdir(parents=True)
    (davis / "ImageSets/2016/val.txt").write_text("".join(f"{name}\n" for name in SQUARES))
    return davis


def composed(root, output, *more):
    compose_videos.main(["--davis-root", str(root), "--output", str(output), *more])
    return {sequence.name: sequence for sequence in davis_sequences(output, 2017)}


def test_each_sequence_gets_the_objects_of_the_next(root, tmp_path):
    """All frames annotated, as long as the shorter video, and the list of DAVIS 2017 beside them."""
    found = composed(root, tmp_path / "out")
    assert {name: len(sequence) for name, sequence in found.items()} == {"ant": 4, "bee": 3, "cow": 3}
    for sequence in found.values():
        assert list(sequence.ground_truth) == sequence.frame_names
        first = read_labels(sequence.ground_truth["00000"])
        assert np.bincount(first.ravel()).tolist() == [48 * 96 - 2 * 256, 256, 256]     # none covers the other


def test_a_pasted_object_keeps_its_pixels_and_its_motion(root):
    """Only its place differs, by one shift for the whole video."""
    grays = np.array([0, SQUARES["ant"][0], SQUARES["bee"][0]])
    lefts = []
    for image, labels in compose(davis_sequences(root, 2016, names=["ant", "bee"])):
        for number in (1, 2):
            inner = cv2.erode((labels == number) * np.uint8(1), np.ones((3, 3), np.uint8)) > 0
            assert inner.sum() == 14 * 14
            assert (image[inner] == grays[number]).all()
        lefts.append(np.flatnonzero((labels == 2).any(0))[0])
    assert np.diff(lefts).tolist() == [2, 2, 2]
    assert lefts[0] == SQUARES["bee"][1] + 16           # the nearest place that is free


def test_the_pasted_object_is_in_front(root):
    """In its third frame, cow (pixels 24 to 39) covers the last six columns of bee (14 to 29)."""
    *_, (_, labels) = compose(davis_sequences(root, 2016, names=["bee", "cow"]))
    assert np.bincount(labels.ravel())[1:].tolist() == [16 * 10, 16 * 16]
    *_, (_, labels) = compose(davis_sequences(root, 2016, names=["bee", "cow"])[::-1])
    assert np.bincount(labels.ravel())[1:].tolist() == [16 * 10, 16 * 16]   # in the other order, bee is in front


def test_three_videos_have_three_numbers(root, tmp_path):
    for sequence in composed(root, tmp_path / "out", "--videos", "3").values():
        assert set(np.unique(read_labels(sequence.ground_truth["00000"]))) == {0, 1, 2, 3}


def test_the_same_arguments_give_the_same_files(root, tmp_path):
    for name in "ab":
        compose_davis(root, tmp_path / name, progress=False)
    files = [{path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
             for name in "ab"]
    assert files[0] == files[1]


def test_frames_of_other_sizes_are_cut(root, tmp_path):
    """The composite has the size of its first video."""
    for kind in ("JPEGImages", "Annotations"):
        for path in (root / kind / "480p" / "bee").iterdir():
            image = read_labels(path) if kind == "Annotations" else read_image(path)
            wide = np.pad(image, [(0, 8), (0, 40), (0, 0)][:image.ndim])
            (write_labels if kind == "Annotations" else write_image)(path, wide)
    assert composed(root, tmp_path / "out")["ant"].size == SIZE


def test_bad_input_is_named(root, tmp_path, refused):
    for videos in ("1", "4"):
        with refused(r"expected 2 to 3 videos in a composite", "found " + videos):
            composed(root, tmp_path / "out", "--videos", videos, "--overwrite")
    (root / "Annotations/480p/bee/00002.png").unlink()
    with refused("bee: expected an annotation of every frame, found 4 for 5 frames"):
        composed(root, tmp_path / "out", "--overwrite")
    assert not (tmp_path / "out/ImageSets").exists()
    with refused("expected another folder than --davis-root"):
        composed(root, root.parent, "--overwrite")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("mine")
    with refused("expected an empty folder, found files of another origin"):
        composed(root, tmp_path / "other", "--overwrite")


def test_too_many_numbers_are_refused(root):
    """A number beyond 254 would be void, or another object's."""
    labels = read_labels(root / "Annotations/480p/ant/00000.png")
    write_labels(root / "Annotations/480p/ant/00000.png", np.where(labels > 0, 200, 0).astype(np.uint8))
    write_labels(root / "Annotations/480p/bee/00000.png", np.where(labels > 0, 55, 0).astype(np.uint8))
    (root / "ImageSets/2017").mkdir()
    (root / "ImageSets/2017/val.txt").write_text("ant\nbee\n")
    with pytest.raises(DatasetError, match="ant: expected object numbers below 255 in a composite, found 255"):
        next(compose(davis_sequences(root, 2017)))


def test_an_object_that_is_covered_is_refused(root):
    """One that fills the frame covers the other wherever it is put."""
    for path in (root / "Annotations/480p/bee").iterdir():
        write_labels(path, np.full(SIZE, 255, np.uint8))
    with pytest.raises(DatasetError, match="ant, bee: expected to see 2 objects in the first frame, found none of num"):
        next(compose(davis_sequences(root, 2016, names=["ant", "bee"])))
