"""Longer clips, stronger color changes and instance masks; the samples of default options stay the same."""

import numpy as np
import pytest
import torch

from dataset.augment import (
    STATIC_FRAME,
    STATIC_IMAGE,
    VIDEO_CLIP,
    VIDEO_FRAME,
    Jitter,
    recolor,
    static_warps,
    video_warps,
    warp,
)
from dataset.chosen_objects import clear_objects, number_objects
from dataset.clips import ClipConfig, SourceConfig
from dataset.errors import DatasetError
from dataset.masks import read_image, read_labels
from tests.clip_sources import clips_of, cv_erode, make_sources, several_row, static_row


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("miniature"))


def test_a_default_still_image_sample_draws_as_before(roots):
    """The draws of one sample in their order, written out."""
    clips = clips_of(static_row(roots), thin_plate=0.0)
    for index in range(4):
        _, item = clips.rows[clips._order(0)[index]]
        image_path, mask_path = clips.sources[0].pairs[item]
        image, mask = read_image(image_path), (read_labels(mask_path) > 127).astype(np.uint8)
        rng, copies = np.random.default_rng((7, 1, index)), []
        for matrix in static_warps(mask.shape, 64, 3, rng):
            rng.random()
            copies.append(warp(image, mask, matrix, 64))
        frames = recolor([image for image, _ in copies], STATIC_IMAGE, STATIC_FRAME, rng)
        check_sample(clips[index], frames, [labels for _, labels in copies])


def test_a_default_video_sample_draws_as_before(roots):
    clips = clips_of(SourceConfig(str(roots / "DAVIS"), "davis2017"), max_objects=1)
    for index in range(2):
        _, item = clips.rows[clips._order(0)[index]]
        video = clips.sources[0].videos[item]
        rng = np.random.default_rng((7, 1, index))
        gaps = rng.integers(1, min(5, 8 // 2) + 1, 2)
        start = rng.integers(0, 9 - gaps.sum())
        chosen = [start, start + gaps[0], start + gaps.sum()]
        if rng.random() < 0.5:
            chosen = chosen[::-1]
        loaded = [(read_image(video[t][0]), read_labels(video[t][1])) for t in chosen]
        copies = [warp(*pair, matrix, 64) for pair, matrix in
                  zip(loaded, video_warps((60, 80), 64, 3, rng), strict=True)]
        frames = recolor([image for image, _ in copies], VIDEO_CLIP, VIDEO_FRAME, rng)
        visible = [value for value in np.unique(copies[0][1]) if value]
        assert visible      # otherwise the clip is drawn again
        number = rng.permutation(visible)[0]
        check_sample(clips[index], frames, [(labels == number).astype(np.uint8) for _, labels in copies])


def check_sample(sample, frames, labels):
    assert np.array_equal(sample["frames"].permute(0, 2, 3, 1).numpy(), np.stack(frames))
    assert np.array_equal(sample["labels"].numpy(), np.stack(labels))


# Longer clips, stronger color changes

def test_clips_of_more_frames(roots, tmp_path):
    rows = [static_row(roots), static_row(roots, paste=(1, 2)), several_row(roots),
            SourceConfig(str(roots / "DAVIS"), "davis2017")]
    for row in rows:
        sample = clips_of(row, frames=5)[0]
        assert sample["frames"].shape == (5, 3, 64, 64)
        assert sample["labels"].shape == (5, 64, 64)
    with pytest.raises(DatasetError, match=r"expected videos of at least 10 annotated frames, found none"):
        clips_of(rows[-1], frames=10)
    with pytest.raises(DatasetError, match=r"data\.frames: expected at least 3, found 2"):
        ClipConfig((), frames=2)


def test_the_strength_of_color_changes(roots):
    image = np.full((8, 8, 3), 100, np.uint8)
    jitter = Jitter(0.1, 0.0, 0.0, 0.0)

    def change(strength):
        shown = recolor([image], jitter, Jitter(0, 0, 0, 0), np.random.default_rng(3), strength)[0]
        return shown.mean() - 100

    assert abs(change(1.0)) > 2
    assert change(3.0) == pytest.approx(3 * change(1.0), abs=2)
    assert change(0.0) == 0
    plain, strong = (clips_of(static_row(roots), photometric=strength)[0] for strength in (1.0, 3.0))
    assert torch.equal(plain["labels"], strong["labels"])
    assert not torch.equal(plain["frames"], strong["frames"])
    with pytest.raises(DatasetError, match=r"data\.photometric: expected a factor from 0 to 8, found -1"):
        ClipConfig((), photometric=-1.0)


# Instance masks

def test_instances_are_objects_up_to_the_largest_number(roots):
    for most in (1, 2, 3):
        clips = clips_of(several_row(roots), max_objects=most)
        samples = [clips[index] for index in range(8)]
        assert max(sample["num_objects"] for sample in samples) == most
        for sample in samples:
            assert sample["labels"][0].unique().tolist() == list(range(len(sample["labels"][0].unique())))
            assert set(sample["labels"].unique().tolist()) <= set(sample["labels"][0].unique().tolist())


def test_an_object_keeps_its_number_in_all_frames(roots):
    """The squares of `several` have colors of their own: a number means one of them throughout the clip."""
    clips = clips_of(several_row(roots), max_objects=3, photometric=0.0, thin_plate=0.0)
    for index in range(4):
        sample = clips[index]
        for number in range(1, sample["num_objects"] + 1):
            shown = [frame[0][cv_erode(labels == number)].float() for frame, labels in
                     zip(sample["frames"], sample["labels"].numpy(), strict=True)]
            means = [values.mean() for values in shown if len(values) > 20]
            assert max(means) - min(means) < 12


def test_tiny_objects_get_no_number_unless_all_are_tiny():
    first = np.zeros((100, 100), np.uint8)
    first[:10, :10], first[50:52, :8], first[70, :30], first[99, :] = 1, 2, 3, 255
    assert clear_objects(first).tolist() == [1]
    first[:10, :10] = 0
    assert clear_objects(first).tolist() == [3]
    assert clear_objects(np.zeros((10, 10), np.uint8)).tolist() == []
    numbered = number_objects(first[None], np.array([3]), 2, np.random.default_rng(0))
    assert np.array_equal(numbered[0], first == 3)
