"""Losses and regularizers, computed by hand or by a loop over samples."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from model.aggregation import aggregate
from model.losses import (
    dice_loss,
    hard_fraction,
    hardest_mean,
    mean_intersection_over_union,
    pixel_cross_entropy,
    present_objects,
)
from model.regularizers import drop_affinity, reallocate


def test_bootstrapping_keeps_the_hardest_pixels():
    assert [hard_fraction(i, 20_000, 50_000, 0.15) for i in (0, 20_000, 45_000, 70_000, 10**6)] == pytest.approx(
        [1, 1, 0.575, 0.15, 0.15]
    )
    logits = torch.stack([torch.zeros(2, 2), torch.tensor([[0.0, 1.0], [2.0, 3.0]])])
    labels = torch.zeros(2, 2, dtype=torch.int64)
    losses = torch.log(1 + torch.exp(logits[1])).flatten()
    each = pixel_cross_entropy(logits[None], labels[None], torch.tensor([[True]]))
    assert hardest_mean(each, 0.5) == pytest.approx(losses[2:].mean().item())


@settings(max_examples=60)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.sampled_from([1.0, 0.6, 0.15]), st.integers(0, 999))
def test_losses_of_a_batch_equal_a_loop_over_its_samples(objects, fraction, seed):
    """Values and gradients in float64, for samples of different numbers of objects."""
    torch.manual_seed(seed)
    present = present_objects(torch.tensor(objects), max(objects), torch.device("cpu"))
    scores = torch.randn(len(objects), max(objects), 5, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.stack([torch.randint(0, n + 1, (5, 7)) for n in objects])
    logits = aggregate(scores.sigmoid() * present[:, :, None, None])
    masks = logits.softmax(1)[:, 1:]
    targets = labels[:, None] == torch.arange(1, max(objects) + 1)[:, None, None]
    ours = (
        hardest_mean(pixel_cross_entropy(logits, labels, present), fraction), dice_loss(masks, targets, present),
        mean_intersection_over_union(masks, labels, present),
    )
    looped = (
        _mean(_bootstrapped(logits[i, : n + 1], labels[i], fraction) for i, n in enumerate(objects)),
        _mean(_dice(masks[i, :n], targets[i, :n]) for i, n in enumerate(objects)),
        _mean(_overlap(masks[i, :n] > 0.5, targets[i, :n]) for i, n in enumerate(objects)),
    )
    for one, other in zip(ours, looped, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=1e-6 if one is ours[2] else 1e-12, atol=0)
    for one, other in zip(ours[:2], looped[:2], strict=True):
        gradients = [torch.autograd.grad(loss, scores, retain_graph=True)[0] for loss in (one, other)]
        assert gradients[0].isfinite().all()
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-15)


def test_absent_objects_change_no_loss():
    """However likely they seem; an object with neither mask nor ground truth has an IoU of 1."""
    present, labels = present_objects(torch.tensor([1, 2]), 2, torch.device("cpu")), torch.zeros(2, 4, 4).long()
    logits, masks, targets = torch.zeros(2, 3, 4, 4), torch.zeros(2, 2, 4, 4), torch.zeros(2, 2, 4, 4)
    losses = pixel_cross_entropy(logits, labels, present)
    torch.testing.assert_close(losses.exp(), torch.tensor([2.0, 3.0])[:, None].expand(2, 16))
    dice = dice_loss(masks, targets, present)
    logits[0, 2], masks[0, 1], targets[0, 1], labels[0] = 100, 1, 0, 0
    assert torch.equal(pixel_cross_entropy(logits, labels, present), losses)
    assert dice_loss(masks, targets, present) == dice == 0
    assert mean_intersection_over_union(masks, labels, present) == 1


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


def _mean(values):
    return torch.stack(list(values)).mean()


def _bootstrapped(logits, labels, fraction):
    losses = cross_entropy(logits[None], labels[None], reduction="none").flatten()
    return losses.topk(int(fraction * len(losses))).values.mean() if fraction < 1 else losses.mean()


def _dice(masks, targets):
    overlap, total = (masks * targets).sum((1, 2)), masks.sum((1, 2)) + targets.sum((1, 2))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


def _overlap(predicted, true):
    union = (predicted | true).sum((1, 2))
    return torch.where(union > 0, (predicted & true).sum((1, 2)) / union.clamp(min=1), 1.0).mean()
