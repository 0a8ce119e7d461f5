"""What the unbounded bank reads: for each query cell of every frame, the nearest of all entries written so far.

The bank that keeps every K-th frame holds everything that a bounded bank may hold. Its sorted lists therefore answer
the reads of all banks (`inference.lab.lookup_bank`), and their retained mass is measured against its attention.

An entry is numbered (index of its write) * HW + cell; entries that only other banks write have no number.
"""

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from model.matching import TopK

ELSEWHERE = -1             # instead of a number: an entry of a frame that the unbounded bank does not write
_BLOCK = 128               # query cells at once, at least; more in small banks:
_CACHED = 1 << 18          # similarities at once that stay in the processor's cache
_DEPTH = 512               # entries of a list: enough for a top-20 of 4 % of the entries, evenly scattered
_GROUP = 16                # numbers of a row, at most, that are represented by their maximum in a search
_LIST_BYTES = 1 << 30      # of all lists of a video: long videos have shorter lists


class Reference:
    """The reads of the unbounded bank over one video.

    Args:
        keys: [T, HW, C_k] float32. memory_every: frames between its writes, the first of which is frame 0.
        tick: called after each frame.
    """

    def __init__(self, keys: Tensor, memory_every: int, top_k: int, tick: Callable[[], object] = lambda: None) -> None:
        self.keys, self.memory_every, self.top_k = keys, memory_every, top_k
        self.frames, self.cells = keys.shape[:2]
        self.writes = range(0, self.frames, memory_every)
        depth = max(top_k, min(_DEPTH, _LIST_BYTES // (8 * self.frames * self.cells)))
        self.memory_key = keys[::memory_every].flatten(0, 1)               # [entries, C_k]
        self._lists: list[tuple[Tensor, Tensor]] = []
        for now in range(1, self.frames):
            written = self.written_before(now)
            enough = min(depth, self.usual_depth(top_k, now, self.cells))      # for banks of one frame
            similarities, numbers = nearest(self.memory_key[:written], keys[now], enough)
            self._lists.append((similarities, numbers.int()))
            tick()
        self.mass = self._mass()

    @property
    def entries(self) -> int:
        """Entries written over the whole video."""
        return len(self.writes) * self.cells

    def written_before(self, now: int) -> int:
        """Number of entries written before frame `now`; their numbers are smaller than this."""
        return (1 + (now - 1) // self.memory_every) * self.cells

    def usual_depth(self, k: int, now: int, held: int) -> int:
        """How far into a list of frame `now` a bank's top-k usually reaches if it holds `held` of the entries."""
        return 32 + 2 * k * self.written_before(now) // held

    def stretch(self, now: int) -> int:
        """Index of the last write before frame `now` reads."""
        return (now - 1) // self.memory_every

    def list(self, now: int) -> tuple[Tensor, Tensor]:
        """The entries nearest each query cell of frame `now`, nearest first: similarities [HW, L] float32 and numbers
        [HW, L] int32."""
        return self._lists[now - 1]

    def matches(self, now: int) -> TopK:
        """The read of frame `now`; its indices are entry numbers."""
        similarities, numbers = self.list(now)
        return TopK(numbers[:, : self.top_k].contiguous(), similarities[:, : self.top_k].softmax(1))

    def numbers(self, written: Tensor, cell: Tensor) -> Tensor:
        """Entry numbers of entries written at `written` at `cell`; ELSEWHERE for entries without a number."""
        index = written // self.memory_every
        return torch.where(written % self.memory_every == 0, index * self.cells + cell, ELSEWHERE)

    @cached_property
    def future_mass(self) -> Tensor:
        """`mass` summed over a stretch and all later ones, [stretches, entries]."""
        return self.mass.flip(0).cumsum(0).flip(0)

    def _mass(self) -> Tensor:
        """Softmax weight of each entry, from all query cells of a stretch's frames: [stretches, entries]."""
        mass = torch.zeros(len(self.writes), self.entries, dtype=torch.float64)
        for now in range(1, self.frames):
            matches = self.matches(now)
            mass[self.stretch(now)].index_add_(0, matches.indices.flatten(), matches.weights.flatten().double())
        return mass


def nearest(memory_key: Tensor, query_key: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest similarities of each query cell, largest first, and their entries: [M, k] each.

    The order of `model.grouped_search.match`, without its softmax. memory_key: [N, C_k]; query_key: [M, C_k].
    """
    scale = 1 / math.sqrt(memory_key.shape[1])
    norms, k = scale * memory_key.square().sum(1), min(k, len(memory_key))
    blocks = [
        _largest(torch.addmm(norms, block, memory_key.T, beta=-1, alpha=2 * scale).numpy(), k)
        for block in torch.split(query_key, max(_BLOCK, _CACHED // len(memory_key)))
    ]
    similarities, indices = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    return torch.from_numpy(similarities), torch.from_numpy(indices)


def _largest(rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """`torch.topk` of each row, several times faster: NumPy sorts with vector instructions.

    The k-th largest maximum of groups of numbers is a bound that few numbers reach. These are sorted as integers whose
    upper half orders like the number, and whose lower half is its column.
    """
    count, width = rows.shape
    size = min(_GROUP, width // (6 * k))
    if size < 2:
        places = np.argpartition(rows, -k, axis=1)[:, -k:]
        values = np.take_along_axis(rows, places, axis=1)
        order = np.argsort(-values, axis=1)
        return np.take_along_axis(values, order, axis=1), np.take_along_axis(places, order, axis=1)
    maxima = rows[:, : width // size * size].reshape(count, size, -1).max(1)
    found = np.flatnonzero(rows >= np.partition(maxima, -k, axis=1)[:, -k, None])
    begins = np.searchsorted(found, np.arange(count + 1) * width)
    counts = np.diff(begins)
    starts = np.arange(count)[:, None] * width
    bits = np.take(rows, found).view(np.int32)
    ordered = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)       # negative numbers order the other way
    packed = np.full((count, counts.max()), np.iinfo(np.int64).min)
    packed[np.arange(counts.max()) < counts[:, None]] = (ordered << 32) | (found - np.repeat(starts, counts))
    packed.sort(axis=1)
    columns = packed[:, : -k - 1 : -1] & 0xFFFFFFFF
    return np.take(rows, columns + starts), columns
