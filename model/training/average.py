"""The moving average of a network's weights over training (Polyak and Juditsky 1992), often called EMA."""

import copy

import torch
from torch import Tensor

from model.network import STCN


class AveragedNetwork:
    """A copy of `network` whose weights and batch statistics are moving averages of those of `network`.

    `torch.optim.swa_utils.AveragedModel` averages the same, but makes the host wait for a GPU at every update.

    Args:
        network: what is trained, on its device; its tensors must stay the same objects.
        decay: the share of the average that stays at an update, in (0, 1).
    """

    def __init__(self, network: STCN, decay: float) -> None:
        self.network, self.decay = copy.deepcopy(network).eval().requires_grad_(False), decay
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        self.averaged, self.trained = _split(pairs, floating=True)
        self.copied, self.counters = _split(pairs, floating=False)        # how many batches a batch norm has seen

    @torch.no_grad()
    def update(self, iteration: int) -> None:
        """Take in the weights after `iteration`, counted from 0. The host does not wait.

        Early in training the average follows faster, since the first weights say nothing: decay (1 + t) / (10 + t).
        """
        decay = min(self.decay, (1 + iteration) / (10 + iteration))
        torch._foreach_lerp_(self.averaged, self.trained, 1 - decay)
        if self.copied:
            torch._foreach_copy_(self.copied, self.counters)


def _tensors(network: STCN) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


def _split(pairs: list[tuple[Tensor, Tensor]], floating: bool) -> tuple[list[Tensor], list[Tensor]]:
    """The pairs of floating-point numbers, or the others, as two lists."""
    chosen = [pair for pair in pairs if pair[0].is_floating_point() == floating]
    return [pair[0] for pair in chosen], [pair[1] for pair in chosen]
