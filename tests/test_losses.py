"""Losses and regularizers, computed by hand."""

import pytest
import torch

from model.losses import bootstrapped_cross_entropy, hard_fraction
from model.regularizers import drop_affinity, reallocate


def test_bootstrapping_keeps_the_hardest_pixels():
    assert [hard_fraction(i, 20_000, 50_000, 0.15) for i in (0, 20_000, 45_000, 70_000, 10**6)] == pytest.approx(
        [1, 1, 0.575, 0.15, 0.15]
    )
    logits = torch.stack([torch.zeros(2, 2), torch.tensor([[0.0, 1.0], [2.0, 3.0]])])
    labels = torch.zeros(2, 2, dtype=torch.int64)
    losses = torch.log(1 + torch.exp(logits[1])).flatten()
    assert bootstrapped_cross_entropy(logits, labels, 0.5) == pytest.approx(losses[2:].mean().item())


def test_reallocation_weighs_an_objects_entries_by_rank_over_mean_rank():
    affinity = torch.tensor([[[0.5, 0.1, 0.3, 0.1], [0.3, 0.1, 0.2, 0.4]]])      # 2 query cells, 4 entries
    support = torch.tensor([[[True, True, True, False], [False, False, False, False]]])
    weighed = reallocate(affinity, support)
    ranks = torch.tensor([1, 3, 2]) / 2                                          # most attended first; mean rank 2
    torch.testing.assert_close(weighed[0, 0, :, :3], affinity[0, :, :3] * ranks)
    torch.testing.assert_close(weighed[0, 0, :, 3], affinity[0, :, 3])
    torch.testing.assert_close(weighed[0, 1], affinity[0])
    sums = reallocate(affinity, support, renormalize=True).sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_dropout_scales_what_it_keeps():
    torch.manual_seed(0)
    dropped = drop_affinity(torch.ones(1, 100, 100), keep=0.5)
    assert sorted(dropped.unique().tolist()) == [0, 2]
    assert dropped.mean() == pytest.approx(1, abs=0.05)
