"""Policies that keep or forget whole frames."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

from inference.memory.entries import Entries
from inference.memory.policies import Admission, Policy
from model.matching import TopK

_DECAY = 0.9          # of a frame's attention, per read
_BONUS = 0.05         # weight of the exploration bonus
_JITTER = 1e-9        # keeps the determinant of equal frames finite


class RestrictedMemory(Policy, name="rmem"):
    """Forget the frame with the least attention plus exploration bonus; the first frame stays.

    Source: RMem (Zhou et al. 2024), restated for a top-k read. Relevance of a frame: the exponential mean, over all
    reads, of its share of attention. Bonus: sqrt(log(1 + now) / reads since it was written), as in upper confidence
    bounds, so that new frames are tried before they are judged.
    """

    default_frames = 2

    def use(self, entries: Entries, matches: TopK, now: int) -> None:
        entries.decay_usage(_DECAY)
        entries.use(matches.indices, matches.weights * (1 - _DECAY) / len(matches.weights))

    def score(self, entries: Entries, now: int) -> Tensor:
        frames, member = torch.unique(entries.written, return_inverse=True)
        relevance = entries.usage.new_zeros(len(frames)).index_add_(0, member, entries.usage)
        age = (now - frames).clamp(min=1).to(entries.usage.dtype)
        bonus: Tensor = (math.log1p(now) / age).sqrt()
        return (relevance + _BONUS * bonus)[member]

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write


class DiverseFrames(Policy, name="readmem"):
    """Store a memory frame only if it makes the frames held more diverse; the first frame stays.

    Source: READMem (Vujasinovic et al. 2023). Diversity: the determinant of the Gram matrix of the frames' keys. If
    the bank is full, a new frame replaces the frame whose replacement raises the determinant most; if none raises it,
    the new frame is skipped. Keys are compared cell by cell, as one unit vector per frame; READMem first aligns the
    cells. An annotated frame is always stored.
    """

    default_frames = 2
    one_size = True

    def reset(self) -> None:
        self.victim: int | None = None         # the frame that the next write replaces

    def admit(self, due: bool, annotated: bool, entries: Entries | None, key: Tensor) -> Admission:
        admission = super().admit(due, annotated, entries, key)
        self.victim = None
        if admission is not Admission.STORE or entries is None:
            return admission
        if entries.held + (1 + self.temporary_frames) * len(key) <= entries.rows:
            return admission
        frame, gain = self._replacement(entries, key)
        if frame is not None and gain <= 0 and not annotated:
            return Admission.TEMPORARY if self.temporary_frames else Admission.SKIP
        self.victim = frame
        return admission

    def score(self, entries: Entries, now: int) -> Tensor:
        scores = entries.written.to(entries.usage.dtype)
        return scores if self.victim is None else scores.masked_fill(entries.written == self.victim, -1)

    def protected(self, entries: Entries) -> Tensor:
        return entries.written == entries.first_write

    def _replacement(self, entries: Entries, key: Tensor) -> tuple[int | None, float]:
        """(the frame that `key` should replace, the gain of the log-determinant); (None, 0) if no frame may leave."""
        order = entries.order()                            # whole frames, one after another
        frames = entries.written[order][:: len(key)].tolist()
        vectors = torch.cat([entries.keys[order].reshape(len(frames), -1), key.reshape(1, -1)])
        vectors = normalize(vectors.to(entries.usage.dtype), dim=1)
        gram = (vectors @ vectors.T).cpu().double() + _JITTER * torch.eye(len(vectors), dtype=torch.float64)
        members = list(range(len(vectors)))
        volume = _log_volume(gram, members[:-1])
        gains = {
            frame: _log_volume(gram, members[:i] + members[i + 1 :]) - volume
            for i, frame in enumerate(frames) if frame != entries.first_write
        }
        best = max(gains, key=gains.__getitem__, default=None)
        return best, gains.get(best, 0.0)


def _log_volume(gram: Tensor, members: list[int]) -> float:
    volume: float = torch.linalg.slogdet(gram[members][:, members]).logabsdet.item()
    return volume
