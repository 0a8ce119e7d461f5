"""One memory bank in the lab: it is read and written as the segmenter does, and measured.

Masks at stride 16 replace values: an entry's value is the share of each object in its cell, as predicted when it was
written (in the first frame: as annotated). A read passes these shares on.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from inference.lab.lookup_bank import LabBank
from inference.memory import Admission
from inference.quality import FrameQuality
from inference.scoring.metrics import region_similarity
from model.cells import cell_owners

AGES = (5, 10, 20, 40, 80)          # frames: limits of the classes of age


@dataclass(frozen=True)
class Outcome:
    """What a bank did on a video; shares and J in [0, 1]."""

    retained_mass: float      # share of the unbounded bank's attention that falls on entries held at that read
    agreement: float | None   # of the labels read with those that the unbounded bank reads
    propagation_j: float | None      # J of the masks passed on at stride 16; None without ground truth
    ages: tuple[float, ...]   # shares of the entries held, by class of age


class Contestant:
    """A bank that takes part in a replay.

    Args:
        row: its name in the tables. first: shares of the objects in the annotation of frame 0, [objects, h, w].
    """

    def __init__(self, row: str, bank: LabBank, memory_every: int, first: Tensor) -> None:
        self.row, self.bank, self.memory_every = row, bank, memory_every
        self.labels = first                                     # [objects, h, w], of the last frame read
        self.last_write: int | None = None
        self.reads, self.retained, self.agreed = 0, 0.0, 0.0
        self.ages = torch.zeros(len(AGES) + 1, dtype=torch.float64)
        self.j: list[float] = []

    def read(self, key: Tensor, now: int) -> None:
        """Read with the key [C_k, h, w] of frame `now` and keep the labels."""
        self.labels = self.bank.read(key, now).values[:, 0]

    def write(self, key: Tensor, now: int, quality: FrameQuality | None = None) -> None:
        """Offer the frame to the bank, as `VideoSegmenter` does."""
        due = self.last_write is None or now - self.last_write >= self.memory_every
        admission = self.bank.admit(key, due, now == 0, quality)
        if admission is not Admission.SKIP:
            evidence = self.labels if now else self.labels.ceil()          # an annotation is certain to the pixel
            self.bank.write(key, self.labels[:, None], now, admission, cell_owners(evidence))
        if admission is Admission.STORE:
            self.last_write = now

    def measure(self, now: int, unbounded: Tensor, truth: Tensor | None) -> None:
        """Measure the read of frame `now`. unbounded: labels that the unbounded bank read; truth: [h, w] or None."""
        held, attention = self.bank.held, self.bank.reads.attention
        there = held.mask.index_select(0, attention.indices.flatten())
        self.retained += (attention.weights.flatten() * there).sum().item() / len(attention.weights)
        self.agreed += agreement(self.labels, unbounded)
        self.ages += shares_by_age(held.frames, held.counts, now)
        self.reads += 1
        if truth is not None:
            self.j.append(stride_j(truth, self.labels))

    def outcome(self) -> Outcome:
        """Means over the frames read, J over those scored."""
        return Outcome(
            self.retained / self.reads, self.agreed / self.reads, sum(self.j) / len(self.j) if self.j else None,
            tuple((self.ages / self.reads).tolist()),
        )


def most_likely(shares: Tensor) -> Tensor:
    """The label of each cell, 0 if background has the largest share: [objects, h, w] -> [h, w]."""
    return torch.cat([1 - shares.sum(0, keepdim=True), shares]).max(0).indices     # ten times faster than argmax


def agreement(labels: Tensor, others: Tensor) -> float:
    """1 minus half the sum of |difference| over objects and background, mean over cells; [objects, h, w] each.

    For one object this is 1 - |difference|.
    """
    difference = labels - others
    return 1 - (difference.abs().sum(0) + difference.sum(0).abs()).mean().item() / 2


def stride_j(truth: Tensor, shares: Tensor) -> float:
    """J of labels truth [h, w] and the most likely labels of shares [objects, h, w], mean over the objects."""
    found, truth = most_likely(shares).numpy(), truth.numpy()
    scores = [region_similarity(truth == number, found == number) for number in range(1, len(shares) + 1)]
    return sum(scores) / len(scores)


def shares_by_age(written: Tensor, counts: Tensor, now: int) -> Tensor:
    """Share of the entries held in each class of age, [len(AGES) + 1]. counts: entries of each frame of `written`."""
    group = torch.bucketize(now - written, torch.tensor(AGES))
    return torch.zeros(len(AGES) + 1, dtype=torch.float64).index_add_(0, group, counts.double()) / counts.sum()
