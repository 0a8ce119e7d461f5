"""The memory bank: entries of past frames, read by attention, written under a hard capacity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.policies import Admission, Policy
from model.matching import TopK, gather_read, similarity, top_k_affinity

MAX_SIMILARITIES = 2**24      # entries x query cells at once: 64 MiB


@dataclass
class Readout:
    """What one query frame reads from the bank."""

    values: Tensor    # [objects, C_v, h, w], objects in order of appearance
    matches: TopK     # over all entries, for every query cell: what usage and telemetry need


class MemoryBank:
    """Storage plus policy. Made by `build_memory`; used by `VideoSegmenter`.

    Args:
        policy: decides what to keep. top_k: entries each query cell reads (fewer while fewer are held).
        frames: capacity in frames, a hard bound on all entries, temporary ones included; None: unbounded.
    """

    def __init__(self, policy: Policy, top_k: int = 20, frames: int | None = None) -> None:
        self.policy, self.top_k, self.frames = policy, top_k, frames
        self.entries: Entries | None = None
        self.cells = 0                                     # HW, known from the first write

    def reset(self) -> None:
        """Forget everything, ready for another video."""
        self.entries = None

    @property
    def empty(self) -> bool:
        return self.entries is None

    @property
    def frames_held(self) -> float:
        """Entries over HW, temporary ones included (thesis, table 3)."""
        return 0.0 if self.entries is None else self.entries.visible / self.cells

    @property
    def bytes_held(self) -> int:
        """Bytes of the entries held."""
        return 0 if self.entries is None else self.entries.nbytes(self.entries.visible)

    @property
    def bytes_allocated(self) -> int:
        """Bytes of the buffers."""
        return 0 if self.entries is None else self.entries.nbytes(self.entries.rows)

    def admit(self, due: bool, annotated: bool) -> Admission:
        """Whether the current frame is wanted, so that values nobody keeps are never encoded."""
        return self.policy.admit(due, annotated)

    def read(self, key: Tensor) -> Readout:
        """Read for a query key [C_k, h, w] and count the usage of what it reads.

        An object that appeared late reads the entries that have a value for it, with a top-k and a softmax of
        its own; usage counts on the read over all entries, once (docs/METHOD.md).
        """
        entries, (height, width) = self.entries, key.shape[1:]
        parts = [self._read(query) for query in key.flatten(1).T.float().split(self._cells_at_once())]
        matches = TopK(*(torch.cat([getattr(part, name) for _, part in parts]) for name in ("indices", "weights")))
        amounts = self.policy.count(matches)
        if amounts is not None:
            entries.use(matches.indices, amounts)
        values = torch.cat([part for part, _ in parts], 1)                     # [objects, M, C_v]
        return Readout(values.transpose(1, 2).unflatten(2, (height, width)), matches)

    def write(self, key: Tensor, values: Tensor, now: int, admission: Admission) -> None:
        """Store a frame's key [C_k, h, w] and values [objects, C_v, h, w], of video frame `now`.

        The previous temporary frame ends here. A write that would exceed the capacity first evicts exactly as
        many entries as it needs; its own entries never compete.
        """
        key, values = key.flatten(1).T, values.flatten(2).transpose(1, 2)
        self.cells = len(key)
        if self.entries is None:
            self.entries = Entries((self.frames or 4) * self.cells, key, values)
        entries = self.entries
        entries.temporary = 0
        store = admission is Admission.STORE
        evicted = self._evict(now) if store else entries.cell[:0]
        appended = self.cells - len(evicted)
        if entries.held + appended > entries.rows:
            entries.grow(entries.held + appended)
        fresh = torch.arange(entries.held, entries.held + appended, device=key.device)
        entries.write(torch.cat([evicted, fresh]), key, values, now)
        if store:
            entries.held += appended
        else:
            entries.temporary = appended

    def _evict(self, now: int) -> Tensor:
        """Rows that have to leave for one more frame: lowest score first, ties by older write, then raster.

        Protected entries come after all others: the capacity is hard even where protection cannot hold.
        """
        entries = self.entries
        needed = 0
        if self.frames is not None:
            stored_frames = self.frames - self.policy.temporary_frames
            needed = entries.held + self.cells - stored_frames * self.cells
        if needed <= 0:
            return entries.cell[:0]
        order = entries.order()
        scores = self.policy.score(entries, now).masked_fill(self.policy.protected(entries), torch.inf)
        return order[scores[order].argsort(stable=True)[:needed]]

    def _read(self, query: Tensor) -> tuple[Tensor, TopK]:
        """Read for some query cells [m, C_k]: values [objects, m, C_v], and the top-k over all entries."""
        similarities = similarity(self.entries.keys, query)                    # [m, visible]
        matches = top_k_affinity(similarities, self.top_k)
        values = [
            gather_read(self.entries.values(obj), self._matches_of(obj, similarities, matches))
            for obj in range(self.entries.objects)
        ]
        return torch.stack(values), matches

    def _cells_at_once(self) -> int:
        """Query cells whose similarities to all entries fit in a modest buffer: a read's memory stays bounded."""
        return max(64, MAX_SIMILARITIES // max(1, self.entries.visible))

    def _matches_of(self, obj: int, similarities: Tensor, matches: TopK) -> TopK:
        """The entries that `obj` reads: those of `matches`, unless some entries are older than the object."""
        has_value = self.entries.has_value(obj)
        seen = int(has_value.sum())
        if seen == len(has_value):
            return matches
        return top_k_affinity(similarities.masked_fill(~has_value, -torch.inf), min(self.top_k, seen))
