"""Training samples: pure functions of (seed, i), image and mask moving together."""

import numpy as np
import pytest
import torch

from dataset.augment import STATIC_FRAME, STATIC_IMAGE, recolour, static_warps, video_warps, warp
from dataset.clips import ClipConfig, Clips, SourceConfig
from dataset.errors import DatasetError
from dataset.masks import write_image, write_labels
from dataset.synthetic import make_davis, make_static, make_youtube


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp("miniature")
    make_static(root / "static", images=6, size=(60, 80), seed=0, progress=False)
    make_davis(root / "DAVIS", sequences={"train": 3, "val": 1}, frames=12, size=(60, 80), progress=False)
    make_youtube(root / "YouTube", videos={"train": 3, "valid": 1}, frames=31, size=(60, 80), progress=False)
    return root


def rows(root):
    return (
        SourceConfig(str(root / "static"), "pairs", repeat=2),
        SourceConfig(str(root / "DAVIS"), "davis2017"),
        SourceConfig(str(root / "YouTube/train"), "youtube"),
    )


def clips_of(root, sources=None, **options):
    config = ClipConfig(sources or rows(root), **{"crop": 64, **options})
    return Clips(config, seed=7, batch_size=2, iterations=50)


def test_a_sample_depends_on_seed_and_number_alone(roots):
    first, second = clips_of(roots), clips_of(roots)
    later = {index: second[index] for index in (31, 4, 17)}        # another order, after other samples
    for index in (4, 17, 31):
        for name in ("frames", "labels"):
            assert torch.equal(first[index][name], later[index][name])
    other = Clips(first.config, seed=8, batch_size=2, iterations=50)
    assert not torch.equal(first[4]["frames"], other[4]["frames"])


def test_every_row_comes_once_an_epoch_and_repeats_count(roots):
    clips = clips_of(roots)
    assert len(clips.rows) == 2 * 6 + 3 + 3
    for epoch in range(2):
        assert sorted(clips._order(epoch)) == list(range(18))
    assert list(clips._order(0)) != list(clips._order(1))


def test_samples_have_the_promised_shapes_and_numbers(roots):
    clips = clips_of(roots)
    for index in range(24):
        sample = clips[index]
        assert sample["frames"].shape == (3, 3, 64, 64)
        assert sample["frames"].dtype == torch.uint8
        assert sample["labels"].shape == (3, 64, 64)
        assert 1 <= sample["num_objects"] <= 2
        assert sample["labels"].max() <= sample["num_objects"]


@pytest.mark.parametrize("make", [static_warps, video_warps])
def test_image_and_mask_move_together(make):
    """A mask painted into the image comes out of the warp where the mask does."""
    rng = np.random.default_rng(0)
    labels = np.zeros((90, 120), np.uint8)
    labels[30:60, 40:80] = 1
    image = np.repeat(labels[..., None] * 255, 3, 2)
    for matrix in make((90, 120), 64, 3, rng):
        warped, moved = warp(image, labels, matrix, 64)
        inside = cv_erode(moved)
        assert (warped[inside == 1, 0] > 200).all()


def test_a_large_image_is_averaged_not_skipped():
    rng = np.random.default_rng(0)
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.diag([0.1, 0.1, 1.0])
    warped, _ = warp(stripes, np.zeros((640, 640), np.uint8), matrix, 64)
    assert np.abs(warped[8:-8, 8:-8].astype(int) - 127).max() < 20
    assert recolour([warped], STATIC_IMAGE, STATIC_FRAME, rng)[0].shape == warped.shape


def test_the_largest_gap_follows_the_schedule():
    config = ClipConfig(())
    assert [config.max_gap(p) for p in (0, 0.09, 0.1, 0.25, 0.35, 0.5, 0.89, 0.9, 0.99)] == [
        5, 5, 10, 15, 20, 25, 25, 5, 5
    ]


def test_masks_of_either_convention_and_wrong_data_are_told_apart(tmp_path):
    image = np.full((40, 50, 3), 90, np.uint8)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:30, 10:30] = 1
    for name, scale in (("a", 1), ("b", 255)):
        write_image(tmp_path / f"{name}.jpg", image)
        write_labels(tmp_path / f"{name}.png", mask * scale)
    clips = clips_of(None, (SourceConfig(str(tmp_path), "pairs"),))
    for index in range(4):
        assert clips[index]["labels"].unique().tolist() == [0, 1]
    write_labels(tmp_path / "b.png", mask[:-1])
    with pytest.raises(DatasetError, match=r"b\.png: expected the size of its image b\.jpg"):
        [clips[index] for index in range(4)]
    (tmp_path / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"b\.jpg: expected a mask"):
        clips_of(None, (SourceConfig(str(tmp_path), "pairs"),))
    with pytest.raises(DatasetError, match="found no such folder"):
        clips_of(None, (SourceConfig(str(tmp_path / "nowhere"), "pairs"),))
    with pytest.raises(DatasetError, match="multiple of 16"):
        clips_of(None, (SourceConfig(str(tmp_path), "pairs"),), crop=50)


def cv_erode(mask):
    import cv2

    return cv2.erode(mask, np.ones((5, 5), np.uint8))
