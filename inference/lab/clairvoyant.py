"""What a bank could keep if it knew the whole video: a bound that no policy exceeds, and a policy near it.

Both weigh an entry by its attention mass: the softmax weight that it gets from all query cells of a set of frames when
the unbounded bank reads them (`Reference.mass`).
"""

from torch import Tensor

from inference.lab.reference import Reference
from inference.memory import Policy
from inference.memory.entries import Entries


def retained_bound(reference: Reference, frames: int) -> float:
    """The largest share of the unbounded bank's attention mass that a bank of `frames` frames can hold.

    Between two writes, no bank holds more mass than the frames * HW entries with the most mass in that time, of all
    entries written so far. A bank cannot switch from one such set to the next, since evicted entries do not return:
    the bound is loose.
    """
    held = 0.0
    for stretch, mass in enumerate(reference.mass):
        written = mass[: (stretch + 1) * reference.cells]
        held += written.topk(min(frames * reference.cells, len(written))).values.sum().item()
    return held / (reference.cells * (reference.frames - 1))


class Clairvoyant(Policy):
    """Forget the entries with the least attention mass in the rest of the video, as the unbounded bank reads it."""

    default_frames = 2

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self.reference = reference

    def score(self, entries: Entries, now: int) -> Tensor:
        future = self.reference.future_mass[now // self.reference.memory_every]         # of the reads after `now`
        return future[self.reference.numbers(entries.written, entries.cell)]
