"""Masks at the resolution of cells (stride 16)."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from model.geometry import STRIDE


def cell_means(masks: Tensor) -> Tensor:
    """The mean of each cell's pixels: padded masks [objects, H', W'] -> [objects, h, w]."""
    return avg_pool2d(masks[:, None], STRIDE)[:, 0]


def owners(masks: Tensor) -> Tensor:
    """1 + the object that shows in or next to each cell, 0 for none: padded masks [objects, H', W'] -> [h, w] int64."""
    return cell_owners(max_pool2d(masks, STRIDE))


def cell_owners(maxima: Tensor) -> Tensor:
    """`owners` from the largest pixel of each cell: [objects, h, w] -> [h, w] int64."""
    evidence = max_pool2d(maxima[None], 3, 1, 1)[0]
    return torch.cat([torch.full_like(evidence[:1], 0.5), evidence]).argmax(0)
