"""Two passes meet: one mask from the forward and the backward result of a frame."""

import numpy as np
import torch
from torch import Tensor

from dataset.masks import labels_in
from inference.quality import mask_quality
from inference.session.passes import Segmented
from inference.transfer import upload
from model.aggregation import aggregate

_LEAST = 0.1      # added to a confidence: that of an absent mask is near 0, but it may well be right


def meet(forward: Segmented | None, backward: Segmented | None, given: np.ndarray | None) -> Segmented | None:
    """Both results of a frame as one; None if no object is known. given: the frame's given mask, which stays exact.

    An object that both passes know gets the weighted mean of its probabilities. A weight is the confidence of the mask
    over the distance to the last given mask in the direction of the pass. An object that one pass knows gets that
    pass's probability. All objects are then aggregated again (docs/METHOD.md). If only one pass knows any object, its
    result is taken as it is.
    """
    if forward is None or backward is None:
        return forward or backward
    objects = sorted({*forward.objects, *backward.objects})
    each = [_weighted(forward), _weighted(backward)]
    masks = torch.stack([_mean([known[number] for known in each if number in known]) for number in objects])
    if given is not None:
        numbers = [number for number in labels_in(given) if number > 0]
        labels = upload(given, masks.device)
        masks.masked_fill_(labels > 0, 0)
        for number in numbers:
            masks[objects.index(number)] = (labels == number).to(masks.dtype)
    probabilities = aggregate(masks, dim=0).softmax(0)
    labels = np.array([0, *objects], np.uint8)[probabilities.max(0).indices.cpu().numpy()]
    distances = [min(found.distances[found.objects.index(number)] for found in (forward, backward)
                     if number in found.objects) for number in objects]
    return Segmented(objects, probabilities, labels, distances)


def _weighted(found: Segmented) -> dict[int, tuple[Tensor, float]]:
    """Object -> its probability [H, W] and the weight of it."""
    confidence = mask_quality(found.probabilities).confidence.tolist()
    return {
        number: (probability, (_LEAST + sure) / max(1, distance)) for number, probability, sure, distance
        in zip(found.objects, found.probabilities[1:], confidence, found.distances, strict=True)
    }


def _mean(each: list[tuple[Tensor, float]]) -> Tensor:
    if len(each) == 1:
        return each[0][0]
    (one, first), (other, second) = each
    return (first * one + second * other) / (first + second)
