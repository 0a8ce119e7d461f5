"""The objects of a segmenter: the caller's numbers, and the masks that annotations give."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from model.aggregation import aggregate


class ObjectTable:
    """The caller's numbers of the objects that a bank knows.

    The bank knows objects by order of appearance, which is the order of `parts` and of the planes of all tensors inside
    a segmenter. Callers see the objects in ascending order. Objects that were merged remain several objects to the
    bank: parts with the same number.
    """

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self.parts = list(numbers)      # the number of each part

    @property
    def objects(self) -> list[int]:
        """Ascending."""
        return sorted(set(self.parts))

    def places(self, number: int) -> list[int]:
        """Where the parts of an object are in `parts`, ascending. Raises ValueError for an unknown object."""
        if number not in self.parts:
            raise ValueError(f"expected one of the objects {self.objects}, found {number}")
        return [place for place, part in enumerate(self.parts) if part == number]

    def surplus(self, numbers: Iterable[int]) -> list[int]:
        """Where the parts of known objects are, without the first part of each, ascending."""
        return sorted(place for number in set(numbers) & set(self.parts) for place in self.places(number)[1:])

    def rename(self, number: int, new: int) -> None:
        """Give an object another number. If there is an object of this number, they become one."""
        if not 1 <= new <= 254:
            raise ValueError(f"expected a new number from 1 to 254, found {new}")
        for place in self.places(number):
            self.parts[place] = new

    def ascending(self, probabilities: Tensor) -> Tensor:
        """[1 + parts, H, W] in order of appearance -> [1 + objects, H, W] in that of `objects`.

        Probabilities of the parts of an object are added: they are shares of one. No list is an index here: it would be
        copied to a GPU, for which the host waits.
        """
        order = [[0]] + [[1 + place for place in self.places(number)] for number in self.objects]
        if order == [[place] for place in range(len(order))]:
            return probabilities
        return torch.stack([
            probabilities[first] if not more else sum((probabilities[place] for place in more), probabilities[first])
            for first, *more in order
        ])

    def annotate(self, predicted: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        """Put given masks over a prediction and aggregate all objects again (docs/METHOD.md).

        Args:
            predicted: [1 + parts, H, W] in order of appearance. given: [H, W] bool by object number; new numbers
            are added to the table.
        Returns [1 + parts, H, W] with the new objects at the end. The first part of an object gets its given mask.
        """
        self.parts += [number for number in given if number not in self.parts]
        masks = predicted.new_zeros(len(self.parts), *predicted.shape[1:])
        masks[: len(predicted) - 1] = predicted[1:]
        masks.masked_fill_(torch.stack(list(given.values())).any(0), 0)
        for number, mask in given.items():
            masks[self.parts.index(number)] = mask
        for place in self.surplus(given):
            masks[place] = 0
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
