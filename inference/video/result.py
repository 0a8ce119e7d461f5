"""What was found in one frame of a user's video: what every output is made from."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dataset.folder import Frame
from inference.quality import Quality


@dataclass(frozen=True)
class Result:
    """The masks of one frame."""

    frame: Frame
    labels: np.ndarray                     # [H, W] uint8, object numbers
    objects: list[int]                     # the numbers known so far, ascending
    quality: Quality | None = None         # of each object, in their order
    probabilities: Tensor | None = None    # [1 + objects, H, W], background first; only if an output wants them
