"""soft/<object>/<frame>.png: the probability that a pixel belongs to an object."""

import numpy as np
from torch import Tensor

from dataset.masks import write_image
from inference.video.outputs.output import Output
from inference.video.result import Result

LARGEST = 65535            # of 16 bits: probability 1


class Soft(Output):
    """Gray PNGs of 16 bits and of the frame's size, for every object known by then. Those of a pixel add up to at most
    65535, up to rounding; the rest is the background."""

    name = "soft"
    wants_probabilities = True

    def write(self, result: Result) -> None:
        """Raises ValueError for a result without probabilities."""
        if result.probabilities is None:
            raise ValueError(f"frame {result.frame.name}: expected probabilities, found none")
        for number, values in zip(result.objects, in_16_bits(result.probabilities[1:]), strict=True):
            write_image(self.folder.new(self.name, str(number), f"{result.frame.name}.png"), values)


def in_16_bits(probabilities: Tensor) -> np.ndarray:
    """Probabilities [..., H, W] -> [..., H, W] uint16, times 65535 and rounded."""
    return np.rint(probabilities.cpu().double().numpy() * LARGEST).astype(np.uint16)
