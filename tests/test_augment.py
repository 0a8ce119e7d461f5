"""Augmentation: warps move image and mask together and exist for every size."""

import cv2
import numpy as np
import pytest

from dataset import thin_plate
from dataset.augment import STATIC_FRAME, STATIC_IMAGE, recolor, static_warps, video_warps, warp


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


@pytest.mark.parametrize("make", [static_warps, video_warps])
def test_warps_exist_for_every_size(make):
    rng = np.random.default_rng(0)
    for size in [(37, 53), (53, 37), (384, 384), (400, 267), (1, 900), *rng.integers(16, 1200, (300, 2)).tolist()]:
        assert all(np.isfinite(matrix).all() for matrix in make(tuple(size), 384, 3, rng))


def test_a_large_image_is_averaged_not_skipped():
    rng = np.random.default_rng(0)
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.diag([0.1, 0.1, 1.0])
    warped, _ = warp(stripes, np.zeros((640, 640), np.uint8), matrix, 64)
    assert np.abs(warped[8:-8, 8:-8].astype(int) - 127).max() < 20
    assert recolor([warped], STATIC_IMAGE, STATIC_FRAME, rng)[0].shape == warped.shape


def test_the_thin_plate_warp_bends_image_and_mask_together():
    shifts = thin_plate.displacement(64, np.random.default_rng(0))
    labels = np.zeros((64, 64), np.uint8)
    labels[20:44, 20:44] = 1
    image, mask = warp(np.repeat(labels[..., None] * 255, 3, 2), labels, np.eye(3), 64, shifts)
    assert (image[cv_erode(mask) == 1, 0] > 200).all()
    assert 0 < np.abs(shifts).max() < 16
    flat, same = warp(image, mask, np.eye(3), 64, np.zeros((64, 64, 2), np.float32))
    assert np.array_equal(flat, image)
    assert np.array_equal(same, mask)


def cv_erode(mask):
    return cv2.erode(mask, np.ones((5, 5), np.uint8))
