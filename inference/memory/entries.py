"""Storage of a memory bank: one buffer per attribute, allocated once, with a row per entry.

An entry is one cell of a memory frame. Rows 0..held are the stored entries in no particular order: a write reuses the
rows of the entries that it evicts, and `written` and `cell` say where each came from. The rows after them may hold a
temporary frame.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor

from inference.quality import Quality
from model.precision import supported_dtype

BACKGROUND = 0      # `owner` of an entry that shows no object


class Column:
    """A number per entry, named once: in the body of `Entries`. Read, it is that of the stored entries, [held]."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __set_name__(self, owner: type["Entries"], name: str) -> None:
        self.name = name
        owner.columns[name] = self.dtype

    def __get__(self, entries: "Entries", owner: type["Entries"]) -> Tensor:
        return entries.buffers[self.name][: entries.held]


class Entries:
    """Keys [rows, C_k], one buffer of values [rows, C_v] per object, and the columns.

    Objects are numbered by order of appearance, so the first `known` objects have a value in the row.
    """

    columns: ClassVar[dict[str, torch.dtype]] = {}
    written = Column(torch.int64)       # the video frame of its write
    cell = Column(torch.int64)          # its raster index there
    known = Column(torch.int64)         # how many objects it has values for
    owner = Column(torch.int64)         # 1 + the object that it shows, or BACKGROUND
    usage = Column(torch.float64)       # what the policy counts; float32 on a device without float64

    def __init__(self, rows: int, key: Tensor, values: Tensor, with_quality: bool = False) -> None:
        """Allocate `rows` rows for keys like `key` [HW, C_k] and values like `values` [objects, HW, C_v].

        with_quality: also for the quality of each object's mask in the frame of the entry.
        """
        self.held = 0                                    # stored entries
        self.temporary = 0                               # rows after them that hold the temporary frame
        self.since: list[int] = []                       # of each object: the frame of the first write that knew it
        self.buffers = {"key": key.new_empty(rows, key.shape[1])} | {
            name: torch.zeros(rows, dtype=supported_dtype(dtype, key.device), device=key.device)
            for name, dtype in self.columns.items()
        }
        if with_quality:                                 # [rows, objects, 2]: area and confidence
            self.buffers["quality"] = torch.zeros(rows, 0, 2, device=key.device)
        self._values: list[Tensor] = []
        self._value_like = values.new_empty(0, values.shape[2])

    @property
    def rows(self) -> int:
        """Rows allocated."""
        return len(self.buffers["key"])

    @property
    def visible(self) -> int:
        """Rows that a read sees: stored entries and the temporary frame."""
        return self.held + self.temporary

    @property
    def first_write(self) -> int:
        """The video frame of the first write."""
        return self.since[0]

    @property
    def keys(self) -> Tensor:
        """[visible, C_k] float32, or float64 if they were written so."""
        return self.buffers["key"][: self.visible]

    @property
    def sources(self) -> tuple[Tensor, Tensor]:
        """Where each visible row came from: the frame of its write and the cell there, [visible] each."""
        return self.buffers["written"][: self.visible], self.buffers["cell"][: self.visible]

    @property
    def objects(self) -> int:
        return len(self._values)

    @property
    def quality(self) -> Quality:
        """Of the masks of the frame that each stored entry comes from, [held, objects]; objects that were unknown then
        count as empty. Held only for policies that need it."""
        area, confidence = self.buffers["quality"][: self.held].unbind(2)
        return Quality(area, confidence)

    def values(self, obj: int) -> Tensor:
        """[visible, C_v]; rows written before the object appeared hold nothing meaningful (see `has_value`)."""
        return self._values[obj][: self.visible]

    def has_value(self, obj: int) -> Tensor:
        """[visible] bool: entries written when object `obj` was known."""
        return self.buffers["known"][: self.visible] > obj

    def add_objects(self, objects: int, now: int) -> None:
        """Make room for the values of objects that appear at frame `now`: from then on there are `objects` of them."""
        for _ in range(self.objects, objects):          # zeros, since a read multiplies them by a weight of zero
            self._values.append(self._value_like.new_zeros(self.rows, self._value_like.shape[1]))
            self.since.append(now)
        if (quality := self.buffers.get("quality")) is not None:
            new = quality.new_zeros(self.rows, self.objects - quality.shape[1], 2)
            self.buffers["quality"] = torch.cat([quality, new], 1)

    def forget_object(self, obj: int) -> None:
        """Drop the values of object `obj`, and what it owns becomes background. The objects after it move up by one."""
        del self._values[obj], self.since[obj]
        if (quality := self.buffers.get("quality")) is not None:
            self.buffers["quality"] = torch.cat([quality[:, :obj], quality[:, obj + 1 :]], 1)
        known, owner = self.buffers["known"], self.buffers["owner"]
        own = BACKGROUND + 1 + obj
        self.buffers["known"] = known - (known > obj).to(known.dtype)
        self.buffers["owner"] = owner.masked_fill(owner == own, BACKGROUND) - (owner > own).to(owner.dtype)

    def write(
        self, rows: Tensor, key: Tensor, values: Tensor, now: int, cells: Tensor | None = None,
        owner: Tensor | None = None, quality: Quality | None = None,
    ) -> None:
        """Fill `rows` [n] with key [n, C_k] and values [objects, n, C_v] of frame `now`.

        cells: [n] raster indices (None: a whole frame's, in order); owner: [n] (None: unknown, all background).
        quality: of the frame's masks, for entries that hold it.
        """
        self.add_objects(len(values), now)
        cells = torch.arange(len(rows), device=rows.device) if cells is None else cells
        content: dict[str, Tensor | int] = {
            "key": key, "written": now, "cell": cells, "known": len(values),
            "owner": BACKGROUND if owner is None else owner, "usage": 0,
        }
        if quality is not None:
            content["quality"] = torch.stack([quality.area, quality.confidence], 1)
        for name, buffer in self.buffers.items():
            _assign(buffer, rows, content[name])
        for buffer, value in zip(self._values, values, strict=True):
            buffer[rows] = value

    def use(self, indices: Tensor, amounts: Tensor, log: bool = False) -> None:
        """Add `amounts` to the usage of the visible rows `indices`, repeated ones summed (`log`: log(1 + sum))."""
        usage, amounts = self.buffers["usage"], amounts.flatten().to(self.buffers["usage"].dtype)
        if log:
            total = torch.zeros_like(usage[: self.visible]).index_add_(0, indices.flatten(), amounts)
            usage[: self.visible] += total.log1p_()
        else:
            usage.index_add_(0, indices.flatten(), amounts)

    def set_usage(self, indices: Tensor, value: float) -> None:
        """Replace the usage of the visible rows `indices`."""
        _assign(self.buffers["usage"], indices.flatten(), value)

    def decay_usage(self, factor: float) -> None:
        """Multiply all usage by `factor`."""
        self.buffers["usage"][: self.visible] *= factor

    def grow(self, rows: int) -> None:
        """Reallocate to at least `rows` rows, doubling, so that n writes cost O(n)."""
        rows = max(rows, 2 * self.rows)
        self.buffers = {name: _enlarged(buffer, rows) for name, buffer in self.buffers.items()}
        self._values = [_enlarged(buffer, rows) for buffer in self._values]

    def keep(self, wanted: Tensor, rows: int) -> None:
        """Only the visible rows in wanted [visible] bool stay, in their order. Reallocate to `rows` rows, or to as many
        as stay if these are more."""
        kept = wanted.nonzero()[:, 0]
        self.held = int(wanted[: self.held].sum())
        self.temporary = len(kept) - self.held
        rows = max(rows, len(kept))
        self.buffers = {name: _enlarged(buffer[kept], rows) for name, buffer in self.buffers.items()}
        self._values = [_enlarged(buffer[kept], rows) for buffer in self._values]

    def order(self) -> Tensor:
        """Rows of the stored entries, oldest write first, then raster order."""
        return torch.argsort(self.written * (self.cell.max() + 1) + self.cell) if self.held else self.cell

    def state(self) -> dict[str, Any]:
        """The visible rows, as tensors and plain values that share nothing with these entries."""
        return {
            "rows": self.rows, "held": self.held, "temporary": self.temporary, "since": list(self.since),
            "buffers": {name: buffer[: self.visible].clone() for name, buffer in self.buffers.items()},
            "values": [buffer[: self.visible].clone() for buffer in self._values],
        }

    @classmethod
    def restored(cls, state: dict[str, Any], device: torch.device) -> "Entries":
        """Entries as they were at `state()`, on `device`."""
        rows, values = state["rows"], state["values"]
        entries = cls(0, state["buffers"]["key"], values[0][None].to(device))
        entries.held, entries.temporary, entries.since = state["held"], state["temporary"], list(state["since"])
        entries.buffers = {
            name: _enlarged(buffer.to(supported_dtype(buffer.dtype, device)).to(device), rows)
            for name, buffer in state["buffers"].items()
        }
        entries._values = [_enlarged(buffer.to(device), rows) for buffer in values]
        return entries

    def nbytes(self, rows: int) -> int:
        """Bytes that `rows` rows take."""
        buffers = [*self.buffers.values(), *self._values]
        return sum(rows * buffer[:1].numel() * buffer.element_size() for buffer in buffers)


def _assign(buffer: Tensor, rows: Tensor, content: Tensor | float) -> None:
    """buffer[rows] = content, for which a GPU is not waited for: an assigned number would be copied to it first."""
    if isinstance(content, Tensor):
        buffer[rows] = content
    else:
        buffer.index_fill_(0, rows, content)


def _enlarged(buffer: Tensor, rows: int) -> Tensor:
    larger = buffer.new_zeros(rows, *buffer.shape[1:])      # pages that are never written take no memory
    larger[: len(buffer)] = buffer
    return larger
