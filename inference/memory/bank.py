"""The memory bank: entries of past frames, read by attention, written under a hard capacity."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inference.memory.entries import Entries
from inference.memory.policies import Admission, Policy
from model.matching import TopK, gather_read, match


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
        entries, query = self.entries, key.flatten(1).T.float()
        seen = [int(entries.has_value(obj).sum()) for obj in range(entries.objects)]    # nested: a count says which
        masks = {count: entries.has_value(obj) for obj, count in enumerate(seen)}
        masks[entries.visible] = None                                                   # all entries: what counts
        found = dict(zip(masks, match(entries.keys, query, self.top_k, list(masks.values())), strict=True))
        matches = found[entries.visible]
        amounts = self.policy.count(matches)
        if amounts is not None:
            entries.use(matches.indices, amounts)
        values = torch.stack([gather_read(entries.values(obj), found[count]) for obj, count in enumerate(seen)])
        return Readout(values.transpose(1, 2).unflatten(2, key.shape[1:]), matches)

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
