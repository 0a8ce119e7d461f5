"""Storage of a memory bank: one buffer per attribute, allocated once, a row an entry.

An entry is one cell of a memory frame. Rows 0..held are stored entries in no particular order (a write reuses
the rows of those it evicts); `written` and `cell` say where each came from. Rows after them may hold a
temporary frame.
"""

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from model.precision import at_least_float32

_COLUMNS = ("_key", "_written", "_cell", "_known", "_owner", "_usage")
BACKGROUND = 0      # `owner` of an entry that shows no object


class Entries:
    """Keys [rows, C_k], one values buffer [rows, C_v] per object, and per row: `written` (the frame of its
    write), `cell` (its raster index there), `known` (how many objects it has values for), `owner` (1 + the object
    it shows, or BACKGROUND) and `usage` (what the policy counts).

    Objects are numbered by order of appearance, so the first `known` objects have a value in the row.
    """

    def __init__(self, rows: int, key: Tensor, values: Tensor) -> None:
        """Allocate `rows` rows for keys like `key` [HW, C_k] and values like `values` [objects, HW, C_v]."""
        self.held = 0                                    # stored entries
        self.temporary = 0                               # rows after them that hold the temporary frame
        self.first_write: int | None = None
        self.since: list[int] = []                       # of each object: the frame of the first write that knew it
        self._key = key.new_empty(rows, key.shape[1])
        self._values: list[Tensor] = []
        self._value_like = values.new_empty(0, values.shape[2])
        self._written, self._cell, self._known, self._owner = (
            torch.zeros(rows, dtype=torch.int64, device=key.device) for _ in range(4)
        )
        self._usage = torch.zeros(rows, dtype=torch.float64, device=key.device)

    # Stored entries alone: what policies see. [held] each.
    written = property(lambda self: self._written[: self.held])
    cell = property(lambda self: self._cell[: self.held])
    known = property(lambda self: self._known[: self.held])
    owner = property(lambda self: self._owner[: self.held])
    usage = property(lambda self: self._usage[: self.held])

    @property
    def rows(self) -> int:
        """Rows allocated."""
        return len(self._key)

    @property
    def visible(self) -> int:
        """Rows a read sees: stored entries and the temporary frame."""
        return self.held + self.temporary

    @property
    def keys(self) -> Tensor:
        """[visible, C_k] float32, or float64 if they were written so."""
        return self._key[: self.visible]

    @property
    def sources(self) -> tuple[Tensor, Tensor]:
        """Where each visible row came from: the frame of its write and the cell there, [visible] each."""
        return self._written[: self.visible], self._cell[: self.visible]

    @property
    def objects(self) -> int:
        return len(self._values)

    def values(self, obj: int) -> Tensor:
        """[visible, C_v]; rows written before the object appeared hold nothing meaningful (see `has_value`)."""
        return self._values[obj][: self.visible]

    def has_value(self, obj: int) -> Tensor:
        """[visible] bool: entries written when object `obj` was known."""
        return self._known[: self.visible] > obj

    def meet(self, objects: int, now: int) -> None:
        """There are that many objects from frame `now` on."""
        for _ in range(self.objects, objects):          # zeros: what a read multiplies by a weight of zero is finite
            self._values.append(self._value_like.new_zeros(self.rows, self._value_like.shape[1]))
            self.since.append(now)

    def write(
        self, rows: Tensor, key: Tensor, values: Tensor, now: int, cells: Tensor | None = None,
        owner: Tensor | None = None,
    ) -> None:
        """Fill `rows` [n] with key [n, C_k] and values [objects, n, C_v] of frame `now`.

        cells: [n] raster indices (None: a whole frame's, in order); owner: [n] (None: unknown, all background).
        """
        self.meet(len(values), now)
        self._key[rows] = key
        for buffer, value in zip(self._values, values, strict=True):
            buffer[rows] = value
        self._written[rows] = now
        self._cell[rows] = torch.arange(len(rows), device=rows.device) if cells is None else cells
        self._known[rows] = len(values)
        self._owner[rows] = BACKGROUND if owner is None else owner
        self._usage[rows] = 0
        if self.first_write is None:
            self.first_write = now

    def use(self, indices: Tensor, amounts: Tensor, log: bool = False) -> None:
        """Add `amounts` to the usage of the visible rows `indices`, repeated ones summed (`log`: log(1 + sum))."""
        amounts = amounts.flatten().double()
        if log:
            total = torch.zeros_like(self._usage[: self.visible]).index_add_(0, indices.flatten(), amounts)
            self._usage[: self.visible] += total.log1p_()
        else:
            self._usage.index_add_(0, indices.flatten(), amounts)

    def set_usage(self, indices: Tensor, value: float) -> None:
        """Usage of the visible rows `indices`, whatever it was."""
        self._usage[indices.flatten()] = value

    def decay_usage(self, factor: float) -> None:
        """Multiply all usage by `factor`."""
        self._usage[: self.visible] *= factor

    def blend(self, rows: Tensor, key: Tensor, values: Tensor, share: float) -> None:
        """Stored rows become share * themselves + (1 - share) * the new key [n, C_k] and values [objects, n, C_v].

        Several new ones for one row enter as their mean. Where a row has no value for an object, the new one's stands.
        """
        rows, group = rows.unique(return_inverse=True)
        count = torch.bincount(group, minlength=len(rows))[:, None]

        def mean(x: Tensor) -> Tensor:
            x = at_least_float32(x)
            return x.new_zeros(len(rows), x.shape[1]).index_add_(0, group, x) / count

        self._key[rows] = share * self._key[rows] + (1 - share) * mean(key)
        for obj, new in enumerate(values):
            old, buffer = self.has_value(obj)[rows, None], self._values[obj]
            merged = share * at_least_float32(buffer[rows]) + (1 - share) * mean(new)
            buffer[rows] = torch.where(old, merged, mean(new)).to(buffer.dtype)
        self._known[rows] = len(values)

    def mix_values(self, obj: int, rows: Tensor, sources: Tensor, weights: Tensor) -> None:
        """Values of object `obj` in `rows` [n] become the weighted sums of those in `sources` [n, k]."""
        buffer = self._values[obj]
        buffer[rows] = embedding_bag(sources, buffer, mode="sum", per_sample_weights=weights.to(buffer.dtype))

    def grow(self, rows: int) -> None:
        """Reallocate to at least `rows` rows, doubling, so that n writes cost O(n)."""
        rows = max(rows, 2 * self.rows)
        self._key = _enlarged(self._key, rows)
        self._values = [_enlarged(buffer, rows) for buffer in self._values]
        self._written, self._cell = _enlarged(self._written, rows), _enlarged(self._cell, rows)
        self._known, self._owner = _enlarged(self._known, rows), _enlarged(self._owner, rows)
        self._usage = _enlarged(self._usage, rows)

    def order(self) -> Tensor:
        """Rows of the stored entries, oldest write first, then raster order."""
        return torch.argsort(self.written * (self.cell.max() + 1) + self.cell) if self.held else self.cell

    def state(self) -> dict:
        """What is visible, as tensors and plain values that share nothing with this."""
        tensors = {name: value[: self.visible].clone() for name, value in vars(self).items() if name in _COLUMNS}
        values = [buffer[: self.visible].clone() for buffer in self._values]
        plain = {name: getattr(self, name) for name in ("held", "temporary", "first_write")}
        return {"rows": self.rows, "plain": plain, "since": list(self.since), "tensors": tensors, "values": values}

    @classmethod
    def restored(cls, state: dict, device: torch.device) -> "Entries":
        """Entries as they were at `state()`, on `device`."""
        values, tensors = state["values"], state["tensors"]
        entries = cls(state["rows"], tensors["_key"].to(device)[:1], torch.stack(values)[:, :1].to(device))
        vars(entries).update(state["plain"], since=list(state["since"]))
        for name in _COLUMNS:
            setattr(entries, name, _enlarged(tensors[name].to(device), state["rows"]))
        entries._values = [_enlarged(buffer.to(device), state["rows"]) for buffer in values]
        return entries

    def nbytes(self, rows: int) -> int:
        """Bytes that `rows` rows take."""
        buffers = [self._key, *self._values, self._written, self._cell, self._known, self._owner, self._usage]
        return sum(rows * buffer[:1].numel() * buffer.element_size() for buffer in buffers)


def _enlarged(buffer: Tensor, rows: int) -> Tensor:
    larger = buffer.new_zeros(rows, *buffer.shape[1:])      # pages that are never written cost no memory
    larger[: len(buffer)] = buffer
    return larger
