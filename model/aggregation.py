"""Soft aggregation of independent object probabilities (STM, Oh et al. 2019), with a background."""

import torch
from torch import Tensor

from model.precision import at_least_float32

EPSILON = 1e-7


def aggregate(probabilities: Tensor, dim: int = 1) -> Tensor:
    """Object probabilities -> log-odds of background and objects.

    background = prod(1 - p); everything clamped to [1e-7, 1 - 1e-7]; log-odds. A softmax over `dim` of the
    result gives the aggregated probabilities; the log-odds themselves are the logits of the loss.

    Args:
        probabilities: [..., objects, ...] along `dim`, each in [0, 1].
    Returns [..., 1 + objects, ...], background first.
    """
    probabilities = at_least_float32(probabilities)
    background = (1 - probabilities).prod(dim, keepdim=True)
    everyone = torch.cat([background, probabilities], dim).clamp(EPSILON, 1 - EPSILON)
    return torch.log(everyone / (1 - everyone))
