"""What a memory bank held at every frame, seen from outside: any policy, nothing asked of it.

With --telemetry a run leaves, for each sequence:
    OUTPUT/telemetry/<sequence>.jsonl           a line of JSON per frame: `describe_frame`
    OUTPUT/telemetry/<sequence>.npz             every entry held at the writes: `inference/telemetry/moments.py`
    OUTPUT/telemetry/tensorboard/<sequence>/    four of the lines' numbers as curves
`scripts/explain.py` draws them. Several views: the first one's bank.
"""

import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from dataset.files import naming
from inference.memory import MemoryBank
from inference.memory.entries import Entries
from inference.telemetry.moments import ROW, MomentLog
from model.matching import TopK

AGES = (0, 1, 5, 10, 25, 50, 100, 250, 1000)      # lower edges of the age histogram's bins, in video frames
_IDENTITY = ["written", "cell"]                   # of a row: the entry that lies in it
CURVES = ("frames_held", "never_used", "first_hits", "mean_age")


def telemetry_paths(folder: Path, sequence: str) -> list[Path]:
    """What a finished sequence has in OUTPUT/telemetry: its lines, its moments, its curves."""
    return [folder / f"{sequence}.jsonl", folder / f"{sequence}.npz", folder / "tensorboard" / sequence]


class Recorder:
    """Observes `bank` over one sequence: `record(frame name)` after every step.

    A context manager: files have temporary names until it is left, and are removed if that is for an error. Reads
    are only noted while a step runs; all counting is in `record`, which no one has to time.

    Args:
        bank: fresh, of the segmenter whose steps are recorded. folder: OUTPUT/telemetry. sequence: its name.
        size: (H, W) of the frames that the segmenter is shown.
    """

    def __init__(self, bank: MemoryBank, folder: Path, sequence: str, size: tuple[int, int]) -> None:
        self.bank, self.ledger, self.moments = bank, Ledger(), MomentLog(size)
        self.frame = 0                                     # index of the next frame
        self._matches: TopK | None = None                  # of the current step's read
        self._targets = telemetry_paths(folder, sequence)
        self._partials = [target.with_name(f".{target.name}.partial") for target in self._targets]

    def __enter__(self) -> Self:
        self._partials[0].parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._partials[0], "w", encoding="utf-8")
        self.bank.observer = self._observe
        return self

    def _observe(self, matches: TopK) -> None:
        self._matches = matches

    def record(self, name: str) -> None:
        """The step of the next frame, called `name`, is done: write its line."""
        entries = self.bank.entries
        read = self.ledger.count(self._matches, None if entries is None else entries.first_write)
        evicted = self.ledger.follow(entries)
        line = describe_frame(self.frame, name, self.bank, self.ledger.rows, len(evicted)) | read
        if line["written"] or len(evicted):
            self.moments.add(self.frame, self.ledger.rows, evicted)
        with naming(self._targets[0]):
            self._file.write(json.dumps(line) + "\n")
        self._matches = None
        self.frame += 1

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bank.observer = None
        try:
            with naming(self._targets[0]):
                self._file.close()
            if kind is None:
                self.moments.finish(self.frame - 1, self.ledger.rows)
                self.moments.save(self._partials[1])
                write_curves(self._partials[0], self._partials[2])
                for partial, target in zip(self._partials, self._targets, strict=True):
                    remove(target)
                    os.replace(partial, target)
        finally:
            for partial in self._partials:
                remove(partial)


class Ledger:
    """One row per visible row of a bank, in its order: which entry lies there, and how often it was in a top-k.

    A count begins anew where a row's (written, cell) changes, so the ledger is never larger than the bank.
    """

    def __init__(self) -> None:
        self.rows = np.zeros(0, ROW)
        self.held = 0                      # rows before this are stored entries, the others the temporary frame's

    def count(self, matches: TopK | None, first: int | None) -> dict[str, float | None]:
        """Count a read over the rows; returns what of it fell on the frame written `first`.

        first_hits: share of the top-k; first_mass: share of their softmax weight; None where nothing was read.
        """
        if matches is None:
            return {"first_hits": None, "first_mass": None}
        indices, weights = (tensor.numpy(force=True).ravel() for tensor in (matches.indices, matches.weights))
        hits = np.bincount(indices, minlength=len(self.rows))
        mass = np.bincount(indices, weights, minlength=len(self.rows))
        self.rows["uses"] += hits.astype(ROW["uses"])
        of_first = self.rows["written"] == first
        return {
            name: round(float(amount[of_first].sum() / amount.sum()), 6)
            for name, amount in (("first_hits", hits), ("first_mass", mass))
        }

    def follow(self, entries: Entries | None) -> np.ndarray:
        """Take over the rows as they lie now; returns those of the stored entries that are gone.

        A temporary frame that ends is not among them. `owner` of temporary entries is 0: the bank does not say.
        """
        if entries is None:
            return self.rows[:0]
        before, held = self.rows, self.held
        self.rows, self.held = np.zeros(entries.visible, ROW), entries.held
        self.rows["written"], self.rows["cell"] = (column.numpy(force=True) for column in entries.sources)
        self.rows["owner"][: self.held] = entries.owner.numpy(force=True)
        both = min(len(before), len(self.rows))
        same = self.rows[_IDENTITY][:both] == before[_IDENTITY][:both]
        self.rows["uses"][:both] = np.where(same, before["uses"][:both], 0)
        gone = np.concatenate([~same, np.ones(len(before) - both, bool)])
        return before[:held][gone[:held]]


def describe_frame(frame: int, name: str, bank: MemoryBank, rows: np.ndarray, evicted: int) -> dict:
    """A line: what the bank holds after the step of `frame`. Survivors are the entries a read would see.

    evicted: stored entries that this frame's write removed. written: whether the bank holds this frame, for good or
    as its temporary one. sources: {frame written: survivors}; objects: {object, by order of appearance: survivors
    that show it or lie beside it}, of stored entries, and first_objects: of the first frame written; ages: {lower edge
    of a bin of AGES: survivors}, in video frames; never_used: share in no query cell's top-k since their write, of
    those that a read has seen (None: there are none).
    """
    first, temporary = (-1, 0) if bank.entries is None else (bank.entries.first_write, bank.entries.temporary)
    age = frame - rows["written"]
    tried, shows = rows["uses"][age > 0], rows[rows["owner"] > 0]
    bins = np.bincount(np.digitize(age, AGES) - 1, minlength=len(AGES))
    return {
        "frame": frame, "name": name, "written": bool((age == 0).any()), "evicted": evicted, "entries": len(rows),
        "temporary": temporary, "frames_held": round(bank.frames_held, 6),
        "bytes": bank.bytes_held, "sources": histogram(rows["written"]), "objects": histogram(shows["owner"]),
        "first_objects": histogram(shows["owner"][shows["written"] == first]),
        "ages": dict(zip(map(str, AGES), bins.tolist(), strict=True)),
        "mean_age": round(float(age.mean()), 6) if len(rows) else None,
        "never_used": round(float((tried == 0).mean()), 6) if len(tried) else None,
    }


def histogram(values: np.ndarray) -> dict[str, int]:
    """{value: how often}, ascending; keys are strings, as JSON has them."""
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(map(str, found.tolist()), counts.tolist(), strict=True))


def write_curves(lines: Path, folder: Path) -> None:
    """The CURVES of a file of lines as TensorBoard scalars in `folder`."""
    remove(folder)
    with SummaryWriter(str(folder)) as writer, open(lines, encoding="utf-8") as file:
        for line in map(json.loads, file):
            for curve in CURVES:
                if line[curve] is not None:
                    writer.add_scalar(f"telemetry/{curve}", line[curve], line["frame"])


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
