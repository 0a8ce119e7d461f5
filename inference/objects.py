"""The objects of a segmenter: the caller's numbers, and the masks that annotations give."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from model.aggregation import aggregate


class ObjectTable:
    """The caller's numbers of the objects that a bank knows.

    The bank knows objects by order of appearance, which is the order of `numbers` and of the planes of all tensors
    inside a segmenter. Callers see the objects in ascending order.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.numbers = list(numbers)

    @property
    def objects(self) -> list[int]:
        """Ascending."""
        return sorted(self.numbers)

    def ascending(self, probabilities: Tensor) -> Tensor:
        """[1 + objects, H, W] in order of appearance -> in that of `objects`. No list is an index here: it would be
        copied to a GPU, for which the host waits."""
        order = [0] + [1 + self.numbers.index(number) for number in self.objects]
        if order == list(range(len(order))):
            return probabilities
        return torch.stack([probabilities[place] for place in order])

    def annotate(self, predicted: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        """Put given masks over a prediction and aggregate all objects again (docs/METHOD.md).

        Args:
            predicted: [1 + objects, H, W] in order of appearance. given: [H, W] bool by object number; new numbers
            are added to the table.
        Returns [1 + objects, H, W] with the new objects at the end.
        """
        self.numbers += [number for number in given if number not in self.numbers]
        masks = predicted.new_zeros(len(self.numbers), *predicted.shape[1:])
        masks[: len(predicted) - 1] = predicted[1:]
        masks.masked_fill_(torch.stack(list(given.values())).any(0), 0)
        for number, mask in given.items():
            masks[self.numbers.index(number)] = mask
        return aggregate(masks, dim=0).softmax(0)


def checked_annotation(annotation: np.ndarray, size: tuple[int, int], frame: int) -> np.ndarray:
    """The label map [H, W] of a frame, of any integer type, as uint8.

    Raises ValueError for another size, and for labels other than 0 to 254.
    """
    if annotation.shape != size:
        raise ValueError(f"frame {frame}: expected an annotation of {size}, found {annotation.shape}")
    if annotation.min() < 0 or annotation.max() > 254:
        raise ValueError(f"frame {frame}: expected labels 0 to 254, found {annotation.min()} to {annotation.max()}")
    return annotation.astype(np.uint8)
