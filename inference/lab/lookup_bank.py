"""Memory banks whose reads are looked up: exact, and many times faster if many banks read the same video."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inference.lab.reference import Reference, nearest
from inference.memory import Admission, MemoryBank
from inference.memory.entries import Entries
from model.matching import TopK


class LabBank(MemoryBank):
    """A MemoryBank that reads through `SharedReads`. It keeps the same entries, up to rounding."""

    def __init__(self, bank: MemoryBank, reads: "SharedReads") -> None:
        """bank: one of `build_memory`; this one takes its policy and sizes."""
        self.reads = reads
        super().__init__(bank.policy, bank.top_k, bank.frames)

    def reset(self) -> None:
        super().reset()
        self._held: Held | None = None

    def write(
        self, key: Tensor, values: Tensor, now: int, admission: Admission, owner: Tensor | None = None
    ) -> None:
        super().write(key, values, now, admission, owner)
        self._held = None

    @property
    def held(self) -> "Held":
        """What reads see since the last write."""
        if self._held is None:
            assert self.entries is not None, "nothing is held before the first write"
            self._held = Held(self.entries, self.reads.reference)
        return self._held

    def _match(self, entries: Entries, query: Tensor, masks: list[Tensor | None]) -> list[TopK]:
        if len(masks) > 1 or masks[0] is not None:          # objects that appear late: not in the lab
            return super()._match(entries, query, masks)
        return [self.reads.find(self.held, query)]


class Held:
    """The entries that a bank's reads see.

    `mask` [entries] marks these entries among those of the unbounded bank, even if their keys have changed. Rows whose
    keys are the same as there are `listed`; all others (blended, or of frames it does not write) are `others`.
    """

    def __init__(self, entries: Entries, reference: Reference) -> None:
        written, cell = entries.sources
        amounts = written.bincount()
        self.frames = amounts.nonzero()[:, 0]                           # frames of write
        self.counts = amounts[self.frames]                              # entries held of each
        self.keys = entries.keys
        self.numbers = reference.numbers(written, cell)                 # [visible]
        there = self.numbers >= 0
        self.mask = _marked(reference.entries, self.numbers[there])
        equal = self.keys == reference.memory_key.index_select(0, self.numbers.clamp(min=0))
        same = there & torch.from_numpy(equal.numpy().all(1))           # eight times faster than torch's all
        self.listed, self.others = same.nonzero()[:, 0], (~same).nonzero()[:, 0]
        numbers = self.numbers[self.listed]
        self.readable = _marked(reference.entries, numbers)             # those of `mask` that are listed
        row_of = torch.zeros(reference.entries, dtype=torch.int64)
        row_of[numbers] = self.listed
        self._rows = torch.cat([row_of, self.others])
        self.fingerprints = tuple(                                      # equal for equal sets of keys
            hashlib.blake2b(array.numpy().data, digest_size=16).digest()
            for array in (self.readable, self.keys.index_select(0, self.others))
        )

    def rows(self, found: Tensor) -> Tensor:
        """Rows of what `SharedReads` finds: entry numbers, followed by positions among the others."""
        return _take(self._rows, found)


@dataclass
class _Found:
    """The top-k of each query cell: similarities, and numbers as `Held.rows` takes them, [HW, k] each."""

    similarities: Tensor
    numbers: Tensor


class SharedReads:
    """The reads of one video frame at a time by any number of banks; banks that hold the same share one match."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.begin(0)

    def begin(self, now: int) -> None:
        """From now on, video frame `now` is read."""
        self.now = now
        self._attention: TopK | None = None
        self._shared: dict[tuple[bytes, ...], TopK] = {}
        self._others: dict[tuple[bytes, int], _Found] = {}

    @property
    def attention(self) -> TopK:
        """The unbounded bank's read of this frame, by entry number; frame 0 has none."""
        if self._attention is None:
            self._attention = self.reference.matches(self.now)
        return self._attention

    def find(self, held: Held, query: Tensor) -> TopK:
        """The top-k of query [HW, C_k] over the entries held."""
        shared = self._shared.get(held.fingerprints)
        if shared is None:
            found = self._find(held, query, min(self.reference.top_k, len(held.keys)))
            shared = self._shared[held.fingerprints] = TopK(found.numbers, found.similarities.softmax(1))
        return TopK(held.rows(shared.indices), shared.weights)

    def _find(self, held: Held, query: Tensor, k: int) -> _Found:
        parts = []
        if len(held.listed) >= k:
            parts.append(self._look_up(held, query, k))
        elif len(held.listed):
            parts.append(self._find_listed(held, query, k))
        if len(held.others):
            parts.append(self._find_others(held, query, k))
        if len(parts) == 1:
            return parts[0]
        similarities = torch.cat([part.similarities for part in parts], 1)
        order = torch.from_numpy(np.argsort(-similarities.numpy(), axis=1)[:, :k])     # twice as fast as torch's topk
        return _Found(similarities.gather(1, order), torch.cat([part.numbers for part in parts], 1).gather(1, order))

    def _find_others(self, held: Held, query: Tensor, k: int) -> _Found:
        """The top-k over the entries that are not listed; computed once for all banks with the same, in this order."""
        name = held.fingerprints[1], k
        if name not in self._others:
            places = self.reference.entries + torch.arange(len(held.others))
            self._others[name] = _plain(held.keys.index_select(0, held.others), query, k, places)
        return self._others[name]

    def _look_up(self, held: Held, query: Tensor, k: int) -> _Found:
        """The first k listed entries in each query cell's list; cells whose lists have fewer are matched plainly."""
        similarities, numbers = self.reference.list(self.now)
        length = numbers.shape[1]
        found = _Found(similarities.new_empty(len(query), k), torch.empty(len(query), k, dtype=torch.int64))
        left = torch.arange(len(query))
        usual = self.reference.usual_depth(k, self.now, len(held.listed))
        for depth in (min(usual, length), length):
            part = numbers[:, :depth] if len(left) == len(query) else numbers[left, :depth]
            full, columns = _first_held(part, held.readable, k)
            rows = left[full]
            places = rows[:, None] * length + columns
            found.similarities.index_copy_(0, rows, _take(similarities.view(-1), places))
            found.numbers.index_copy_(0, rows, _take(numbers.view(-1), places).long())
            left = left[~full]
            if not len(left):
                return found
        plain = self._find_listed(held, query[left], k)
        found.similarities[left], found.numbers[left] = plain.similarities, plain.numbers
        return found

    @staticmethod
    def _find_listed(held: Held, query: Tensor, k: int) -> _Found:
        """The top-k over the listed entries, from their keys."""
        return _plain(held.keys.index_select(0, held.listed), query, k, held.numbers[held.listed])


def _first_held(numbers: Tensor, mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Which rows of numbers [M, L] have k entries in `mask` [entries], [M] bool; columns of the first k in these."""
    width = numbers.shape[1]
    places = np.flatnonzero(_take(mask, numbers).numpy())          # seven times faster than torch's nonzero
    begins = np.searchsorted(places, np.arange(len(numbers) + 1) * width)
    full = np.diff(begins) >= k
    rows = np.flatnonzero(full)[:, None]
    columns = places[begins[rows] + np.arange(k)] - rows * width
    return torch.from_numpy(full), torch.from_numpy(columns)


def _plain(keys: Tensor, query: Tensor, k: int, numbers: Tensor) -> _Found:
    similarities, rows = nearest(keys, query, k)
    return _Found(similarities, numbers[rows])


def _marked(size: int, places: Tensor) -> Tensor:
    return torch.zeros(size, dtype=torch.bool).index_fill_(0, places, True)


def _take(x: Tensor, indices: Tensor) -> Tensor:
    """x[indices] for one-dimensional x, eight times faster."""
    return x.index_select(0, indices.flatten()).view(indices.shape)
