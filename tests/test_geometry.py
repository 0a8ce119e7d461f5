"""Frames and cells: padding as STCN pads, and back."""

import numpy as np
import pytest
import torch
from torch.nn.functional import pad

from model.cells import cell_means, cell_owners, owners
from model.geometry import STRIDE, cells_under, grid_size, padding, unpad

SIZES = [(480, 854), (16, 16), (1, 33), (50, 71), (95, 97)]


def test_the_smaller_half_of_the_padding_is_on_the_left_and_the_top():
    assert padding((480, 854)) == (5, 5, 0, 0)
    assert padding((1, 33)) == (7, 8, 7, 8)


@pytest.mark.parametrize("size", SIZES)
def test_padded_frames_have_whole_cells_and_unpad_to_themselves(size):
    frame = torch.rand(3, *size)
    padded = pad(frame, padding(size))
    assert padded.shape[1:] == tuple(STRIDE * cells for cells in grid_size(size))
    assert torch.equal(unpad(padded, size), frame)


@pytest.mark.parametrize("size", SIZES)
def test_each_pixel_lies_over_the_cell_that_it_is_padded_into(size):
    height, width = grid_size(size)
    numbers = np.arange(height * width).reshape(height, width).repeat(STRIDE, 0).repeat(STRIDE, 1)
    np.testing.assert_array_equal(cells_under(size, size), unpad(numbers, size))


def test_a_cell_is_owned_by_the_object_in_or_next_to_it():
    masks = torch.zeros(2, 48, 80)
    masks[0, 0, 0], masks[1, 47, 79] = 1, 0.6
    assert owners(masks).tolist() == [[1, 1, 0, 0, 0], [1, 1, 0, 2, 2], [0, 0, 0, 2, 2]]
    assert cell_owners(torch.full((1, 1, 1), 0.4)).item() == 0
    assert cell_means(masks)[0, 0, 0].item() == 1 / STRIDE**2
