"""Composites: what can be cut out, where it goes, and what it hides."""

import math

import numpy as np
import pytest
import torch

from dataset import composites
from dataset.clips import SourceConfig
from dataset.composites import Layer, composite, cut_out, draw_layer
from dataset.errors import DatasetError
from dataset.synthetic import make_static
from tests.clip_sources import clips_of, cv_erode, make_sources, several_row, squares, static_row

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return make_sources(tmp_path_factory.mktemp("miniature"))


def solid(color, side=20):
    """A square cut-out of one color."""
    image, labels = np.zeros((60, 60, 3), np.uint8), np.zeros((60, 60), np.uint8)
    image[20:20 + side, 20:20 + side], labels[20:20 + side, 20:20 + side] = color, 1
    return cut_out(image, labels, np.random.default_rng(0))


def at(x, y):
    return [np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])]


@pytest.mark.parametrize("behind", [0, 1, 2])
def test_labels_follow_the_order_of_the_layers(behind):
    """A white object of the frame and two pasted ones that overlap it: color and label agree everywhere."""
    frame, labels = np.zeros((60, 60, 3), np.uint8), np.zeros((60, 60), np.uint8)
    frame[20:40, 20:40], labels[20:40, 20:40] = WHITE, 3
    composite(frame, labels, [Layer(solid(RED), at(8, 18), 4), Layer(solid(BLUE), at(28, 24), 5)], behind, 0)
    for color, number in ((RED, 4), (BLUE, 5), (WHITE, 3), ((0, 0, 0), 0)):
        inside = cv_erode(labels == number)
        assert inside.any()
        assert np.abs(frame[inside].astype(int) - color).max() <= 2
    assert labels[28, 24] == (4 if behind == 0 else 3)      # red and white
    assert labels[32, 36] == (3 if behind == 2 else 5)      # blue and white


def test_the_later_layer_is_the_nearer_one_and_edges_are_soft():
    frame, labels = np.zeros((60, 60, 3), np.uint8), np.zeros((60, 60), np.uint8)
    composite(frame, labels, [Layer(solid(RED), at(10, 10), 1), Layer(solid(GREEN), at(20, 10), 2)], 0, 0)
    assert labels[20, 25] == 2
    assert labels[20, 15] == 1
    assert 0 < frame[20, 11, 0] < 255 or 0 < frame[20, 12, 0] < 255
    assert (labels == 2).sum() == pytest.approx(400, abs=8)         # corners are rounded
    assert not frame[0].any()


def test_an_object_outside_the_frame_changes_nothing():
    frame, labels = np.full((30, 30, 3), 50, np.uint8), np.zeros((30, 30), np.uint8)
    for place in ((-40, 0), (0, 31), (31, 31)):
        composite(frame, labels, [Layer(solid(RED), at(*place), 1)], 0, 0)
    assert (frame == 50).all()
    assert not labels.any()


def test_what_can_be_cut_out():
    image, labels = squares(100, 100, {1: (30, 30), 2: (0, 60), 3: (70, 80)}, side=20)
    labels[95, 20:25] = 4                                   # too small; 2 and 3 are cut off by the border
    for seed in range(5):
        cutout = cut_out(image, labels, np.random.default_rng(seed))
        assert cutout.shape == (24, 24, 4)                  # transparent around it
        assert (cutout[2:-2, 2:-2, :3] == image[30:50, 30:50]).all()
        assert (cutout[..., 3] == 255).sum() == 400
        assert (cutout[2:-2, 2:-2, 3] == 255).all()
    labels[30:50, 30:50] = 0
    assert cut_out(image, labels, np.random.default_rng(0)) is None


@pytest.mark.parametrize("side", [20, 59, 400])
def test_sizes_and_paths_are_in_their_ranges(side):
    cutout = np.full((side, side, 4), 255, np.uint8)
    smallest, largest = composites.PASTED_AREA
    for seed in range(30):
        layer = draw_layer(cutout, 1, 96, 4, np.random.default_rng(seed))
        areas = [abs(np.linalg.det(matrix)) * layer.cutout[..., 0].size / 96 ** 2 for matrix in layer.path]
        assert smallest * 0.99 <= areas[0] <= largest * 1.01
        steps = np.diff(np.log(areas))
        assert np.allclose(steps, steps[0])
        center = np.array([(n - 1) / 2 for n in layer.cutout.shape[1::-1]] + [1])
        places = np.array([(matrix @ center)[:2] for matrix in layer.path])
        assert (places[0] >= 0).all()
        assert (places[0] < 96).all()
        assert np.allclose(np.diff(places, axis=0), places[1] - places[0])
        assert math.sqrt(abs(np.linalg.det(layer.path[0]))) > 0.5       # a large cut-out was averaged first


def test_composites_are_pure_functions_of_seed_and_number(roots):
    options = {"max_objects": 3, "frames": 4}
    first, second = (clips_of(static_row(roots, paste=(1, 2)), **options) for _ in range(2))
    later = {index: second[index] for index in (9, 2, 5)}
    assert all(equal(first[index], later[index]) for index in (2, 5, 9))
    assert not equal(first[2], clips_of(static_row(roots), **options)[2])
    counts = [first[index]["num_objects"] for index in range(20)]
    assert max(counts) == 3
    assert np.mean(counts) > 1.5
    assert max(clips_of(static_row(roots, paste=(2, 2)))[index]["num_objects"] for index in range(10)) == 2


def test_composites_of_instances(roots):
    clips = clips_of(several_row(roots, paste=(1, 1)), max_objects=5)
    assert max(clips[index]["num_objects"] for index in range(12)) == 4      # three of its own, one pasted


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in ("frames", "labels"))


def test_rows_that_cannot_paste_are_refused(roots, tmp_path):
    for paste in ((1, 0), (-1, 1), (0, 9)):
        with pytest.raises(DatasetError, match=r"expected paste as two rising numbers from 0 to 5, for still images"):
            static_row(roots, paste=paste)
    with pytest.raises(DatasetError, match=r"for still images, found \[1, 1\] in 'youtube'"):
        SourceConfig("", "youtube", paste=(1, 1))
    make_static(tmp_path, images=1, size=(60, 80), progress=False)
    with pytest.raises(DatasetError, match="two images to paste objects of one onto another, found 1"):
        clips_of(SourceConfig(str(tmp_path), "pairs", paste=(1, 1)))
