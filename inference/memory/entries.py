"""Storage of a memory bank: one buffer per attribute, allocated once, a row an entry.

An entry is one cell of a memory frame. Rows 0..held are stored entries in no particular order (a write reuses
the rows of those it evicts); `written` and `cell` say where each came from. Rows after them may hold a
temporary frame.
"""

import torch
from torch import Tensor


class Entries:
    """Keys [rows, C_k], one values buffer [rows, C_v] per object, and per row: `written` (the frame of its
    write), `cell` (its raster index there), `known` (how many objects it has values for) and `usage`.

    Objects are numbered by order of appearance, so the first `known` objects have a value in the row.
    """

    def __init__(self, rows: int, key: Tensor, values: Tensor) -> None:
        """Allocate `rows` rows for keys like `key` [HW, C_k] and values like `values` [objects, HW, C_v]."""
        self.held = 0                                    # stored entries
        self.temporary = 0                               # rows after them that hold the temporary frame
        self.first_write: int | None = None
        self._key = key.new_empty(rows, key.shape[1], dtype=torch.float32)
        self._values: list[Tensor] = []
        self._value_like = values.new_empty(0, values.shape[2])
        self._written, self._cell, self._known = (
            torch.zeros(rows, dtype=torch.int64, device=key.device) for _ in range(3)
        )
        self._usage = torch.zeros(rows, dtype=torch.float64, device=key.device)

    # Stored entries alone: what policies see. [held] each.
    written = property(lambda self: self._written[: self.held])
    cell = property(lambda self: self._cell[: self.held])
    known = property(lambda self: self._known[: self.held])
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
        """[visible, C_k] float32."""
        return self._key[: self.visible]

    @property
    def objects(self) -> int:
        return len(self._values)

    def values(self, obj: int) -> Tensor:
        """[visible, C_v]; rows written before the object appeared hold nothing meaningful (see `has_value`)."""
        return self._values[obj][: self.visible]

    def has_value(self, obj: int) -> Tensor:
        """[visible] bool: entries written when object `obj` was known."""
        return self._known[: self.visible] > obj

    def write(self, rows: Tensor, key: Tensor, values: Tensor, now: int) -> None:
        """Fill `rows` [HW] with key [HW, C_k] and values [objects, HW, C_v] of frame `now`."""
        for _ in range(self.objects, len(values)):
            self._values.append(self._value_like.new_empty(self.rows, self._value_like.shape[1]))
        self._key[rows] = key.float()
        for buffer, value in zip(self._values, values, strict=True):
            buffer[rows] = value
        self._written[rows] = now
        self._cell[rows] = torch.arange(len(rows), device=rows.device)
        self._known[rows] = len(values)
        self._usage[rows] = 0
        if self.first_write is None:
            self.first_write = now

    def use(self, indices: Tensor, amounts: Tensor) -> None:
        """Add `amounts` to the usage of the visible rows `indices`, repeated ones summed."""
        self._usage.index_add_(0, indices.flatten(), amounts.flatten().double())

    def grow(self, rows: int) -> None:
        """Reallocate to at least `rows` rows, doubling, so that n writes cost O(n)."""
        rows = max(rows, 2 * self.rows)
        self._key = _enlarged(self._key, rows)
        self._values = [_enlarged(buffer, rows) for buffer in self._values]
        self._written, self._cell = _enlarged(self._written, rows), _enlarged(self._cell, rows)
        self._known, self._usage = _enlarged(self._known, rows), _enlarged(self._usage, rows)

    def order(self) -> Tensor:
        """Rows of the stored entries, oldest write first, then raster order."""
        return torch.argsort(self.written * (self.cell.max() + 1) + self.cell) if self.held else self.cell

    def nbytes(self, rows: int) -> int:
        """Bytes that `rows` rows take."""
        buffers = [self._key, *self._values, self._written, self._cell, self._known, self._usage]
        return sum(rows * buffer[:1].numel() * buffer.element_size() for buffer in buffers)


def _enlarged(buffer: Tensor, rows: int) -> Tensor:
    larger = buffer.new_empty(rows, *buffer.shape[1:])      # pages that are never written cost no memory
    larger[: len(buffer)] = buffer
    return larger
