"""When a network is scored during training, and by what."""

from collections.abc import Callable
from dataclasses import dataclass

from model.network import STCN


@dataclass(frozen=True)
class Validation:
    """How the network is scored during training."""

    score: Callable[[STCN], dict[str, float]]      # of a network in evaluation mode; the highest "J&F" is the best
    every: int                                     # iterations; 0: never

    def due(self, iteration: int) -> bool:
        """Whether to score after `iteration` iterations."""
        return self.every != 0 and iteration % self.every == 0
