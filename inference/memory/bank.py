"""The memory bank: entries of past frames, read by attention, written under a hard capacity."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from inference.errors import MemoryConfigError
from inference.memory.entries import Entries
from inference.memory.found import Found, Readout
from inference.memory.policies import Admission, Policy
from inference.quality import FrameQuality
from model.grouped_search import match
from model.matching import TopK, dense_read, gather_read, similarity, top_k_affinity
from model.precision import at_least_float32


class MemoryBank:
    """Storage plus policy. Made by `build_memory`; used by `VideoSegmenter`.

    Args:
        policy: decides what to keep. top_k: entries each query cell reads (fewer while fewer are held).
        frames: capacity in frames, a hard bound on all entries, temporary ones included; None: unbounded.
    """

    def __init__(self, policy: Policy, top_k: int = 20, frames: int | None = None) -> None:
        self.policy, self.top_k, self.frames = policy, top_k, frames
        self.cells = 0                                     # HW, known from the first write
        self.plain = False                                 # read by dense weights: the oracle
        self.observer: Callable[[TopK], None] | None = None      # called with the matches of every read
        self.watched = False                               # whether somebody wants to know `quality`
        self.reset()

    def reset(self) -> None:
        """Forget everything, ready for another video."""
        self.entries: Entries | None = None
        self.quality: FrameQuality | None = None           # of the frame that was offered last, if it is known
        self.frozen = False
        self.policy.kept = ()
        self.policy.reset()

    def keep(self, frame: int) -> None:
        """The entries that are written at this video frame are permanent: they leave after all others."""
        if frame not in self.policy.kept:
            self.policy.kept = (*self.policy.kept, frame)

    def check_room(self, kept: int) -> None:
        """Raises MemoryConfigError if the capacity leaves no room beside this number of permanent frames."""
        needed = kept + 1 + self.policy.temporary_frames
        if self.frames is not None and self.frames < needed:
            raise MemoryConfigError(f"memory_frames {self.frames}: expected at least {needed}, since the frames of "
                                    f"{kept} given masks stay; give --memory-frames {needed}, or omit --keep-given")

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

    @property
    def wants_quality(self) -> bool:
        """Whether `admit` is to be told the quality of the frame's masks."""
        return self.watched or (self.policy.needs_quality and not self.frozen)

    def admit(self, key: Tensor, due: bool, annotated: bool, quality: FrameQuality | None = None) -> Admission:
        """Whether the frame of key [C_k, h, w] is wanted. Asked first, so that no value is encoded in vain.

        quality: of the frame's masks, objects in order of appearance. Raises ValueError if the policy needs it.
        """
        self.quality = quality
        if self.frozen:
            return Admission.SKIP
        found = key[0].numel()
        if self.policy.one_size and self.entries is not None and found != self.cells:
            raise MemoryConfigError(
                f"memory {self.policy.options.memory}: expected frames of {self.cells} cells like those held, with "
                f"which it compares new ones cell by cell, found one of {found}; use frames of the same size, another "
                "memory bank, or a frozen one"
            )
        admission = self.policy.admit(due, annotated, self.entries, _rows(key))
        if not self.policy.needs_quality:
            return admission
        if quality is None:
            raise ValueError(f"memory {self.policy.options.memory}: expected the quality of the frame's masks "
                             "(inference.quality.frame_quality), found none; give it to `admit`")
        return self.policy.judge(admission, annotated, quality, self.entries)

    def read(self, key: Tensor, now: int) -> Readout:
        """`find`, and the readout of every object."""
        found = self.find(key, now)
        return Readout(found.values(), found.matches)

    def find(self, key: Tensor, now: int) -> Found:
        """Match the query key [C_k, h, w] of video frame `now` and let the policy count what it reads.

        An object that appeared late reads the entries that have a value for it, with a top-k and a softmax of
        its own; usage counts on the read over all entries, once (docs/METHOD.md). Raises ValueError for an empty bank.
        """
        entries = self.entries
        if entries is None:
            raise ValueError(f"frame {now}: expected a bank that was written to, found an empty one")
        masks: dict[int, Tensor | None] = {entries.first_write: None}       # None: all entries, the read that counts
        for obj, since in enumerate(entries.since):
            if since not in masks:
                masks[since] = entries.has_value(obj)
        of_objects = dict(zip(masks, self._match(entries, _rows(key), list(masks.values())), strict=True))
        found = Found(entries, of_objects, key.shape[1:], dense_read if self.plain else gather_read)
        if not self.frozen:
            self.policy.use(entries, found.matches, now)
        if self.observer is not None:
            self.observer(found.matches)
        return found

    def write(
        self, key: Tensor, values: Tensor, now: int, admission: Admission, owner: Tensor | None = None
    ) -> None:
        """Store the key [C_k, h, w] and the values [objects, C_v, h, w] of the frame that was offered, number `now`.

        owner: [h, w], 1 + the object that each cell shows, or 0. The previous temporary frame ends here. A write that
        would exceed the capacity first evicts exactly as many entries as it needs; its own entries never compete.
        """
        key, values = _rows(key), values.flatten(2).transpose(1, 2)
        owner = torch.zeros(len(key), dtype=torch.int64, device=key.device) if owner is None else owner.flatten()
        cells = torch.arange(len(key), device=key.device)
        entries, size, self.cells = self.entries, self.cells, len(key)
        if entries is None:
            entries = self.entries = Entries((self.frames or 4) * self.cells, key, values, self.policy.needs_quality)
        elif self.cells != size:
            self._fit(entries, now)
        entries.temporary = 0
        entries.add_objects(len(values), now)
        store = admission is Admission.STORE
        if store and entries.held and (kept := self.policy.before_write(entries, key, values)) is not None:
            cells = kept.nonzero()[:, 0]                   # how many there are: here alone a GPU is waited for
            key, values, owner = key[cells], values[:, cells], owner[cells]
        evicted = self._evict(entries, len(cells), now) if store else cells[:0]
        appended = len(cells) - len(evicted)
        if entries.held + appended > entries.rows:
            entries.grow(entries.held + appended)
        fresh = torch.arange(entries.held, entries.held + appended, device=key.device)
        quality = self.quality if self.policy.needs_quality else None
        entries.write(torch.cat([evicted, fresh]), key, values, now, cells, owner, quality)
        if store:
            entries.held += appended
        else:
            entries.temporary = appended

    def forget(self, obj: int) -> None:
        """Forget object `obj`, counted by order of appearance: its values, which cells it shows, and the entries that
        have a value for no other object. Nothing changes for the others, except that those after it move up by one.

        If it was the only object, the bank is empty, as after `reset`; a frozen one stays frozen.
        """
        entries = self.entries
        if entries is None or not 0 <= obj < entries.objects:
            known = 0 if entries is None else entries.objects
            raise ValueError(f"expected one of the {known} objects that the bank knows, found object {obj}")
        if entries.objects == 1:
            self.entries = None
            self.policy.reset()
            return
        self.policy.forget(obj)
        entries.forget_object(obj)
        useful = entries.has_value(0)             # all others are older than every object that is left
        if not bool(useful.all()):
            entries.keep(useful, (self.frames or 0) * self.cells)

    def state(self) -> dict[str, Any]:
        """All that a bank with the same options needs to continue from here: copies of tensors, and plain values."""
        policy = {
            name: value.clone() if isinstance(value, Tensor) else value
            for name, value in vars(self.policy).items() if name != "options"
        }
        return {
            "made": self._made(), "policy": policy, "cells": self.cells, "frozen": self.frozen,
            "entries": None if self.entries is None else self.entries.state(),
        }

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Continue from a `state`. Raises MemoryConfigError if it comes from a bank with other options."""
        if state["made"] != self._made():
            raise MemoryConfigError(f"expected the state of a bank {self._made()}, found one of {state['made']}")
        vars(self.policy).update(
            (name, value.to(device) if isinstance(value, Tensor) else value) for name, value in state["policy"].items()
        )
        self.cells, self.frozen = state["cells"], state["frozen"]
        self.entries = None if state["entries"] is None else Entries.restored(state["entries"], device)

    def _made(self) -> dict[str, Any]:
        options = asdict(self.policy.options) | {"memory_frames": self.frames, "top_k": self.top_k}
        return {"policy": type(self.policy).__name__, **options}

    def _match(self, entries: Entries, query: Tensor, masks: list[Tensor | None]) -> list[TopK]:
        """The top-k of query [HW, C_k] over the visible entries, for each mask of them."""
        if not self.plain:
            return match(entries.keys, query, self.top_k, masks)
        similarities = similarity(entries.keys, query)
        allowed = [similarities if mask is None else similarities.masked_fill(~mask, -torch.inf) for mask in masks]
        return [top_k_affinity(each, self.top_k) for each in allowed]

    def _fit(self, entries: Entries, now: int) -> None:
        """Frames have another size from now on: a capacity counts frames of the new size."""
        entries.temporary = 0
        if self.frames is not None:
            leaving = self._evict(entries, 0, now)
            wanted = torch.ones_like(entries.cell, dtype=torch.bool).index_fill(0, leaving, False)
            entries.keep(wanted, self.frames * self.cells)

    def _evict(self, entries: Entries, incoming: int, now: int) -> Tensor:
        """Rows that must leave for `incoming` more entries.

        Protected entries leave after all others: the capacity is hard even if that ends a protection.
        """
        if self.frames is None:
            return entries.cell[:0]
        room = (self.frames - self.policy.temporary_frames) * self.cells - entries.held
        return self.policy.evict(entries, incoming - room, now) if incoming > room else entries.cell[:0]


def _rows(key: Tensor) -> Tensor:
    """A frame's key [C_k, h, w] as [HW, C_k], float32 or float64: squared distances need their digits."""
    return at_least_float32(key.flatten(1).T)
