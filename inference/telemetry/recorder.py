"""What a memory bank held at every frame, observed from outside: it works with any policy.

With --telemetry a run writes for each sequence:
    OUTPUT/telemetry/<sequence>.jsonl           a line of JSON per frame: `describe_frame`
    OUTPUT/telemetry/<sequence>.npz             every entry held at the writes: `inference/telemetry/moments.py`
    OUTPUT/telemetry/tensorboard/<sequence>/    four numbers of the lines as curves
`scripts/explain.py` draws them. With several views, the first one's bank is recorded.
"""

import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from dataset.files import file_named_in_errors
from inference.memory import MemoryBank
from inference.memory.entries import Entries
from inference.quality import Quality
from inference.telemetry.moments import ROW, MomentLog
from model.matching import TopK

AGES = (0, 1, 5, 10, 25, 50, 100, 250, 1000)      # lower edges of the age histogram's bins, in video frames
_IDENTITY = ["written", "cell"]                   # of a row: the entry that lies in it
CURVES = ("frames_held", "never_used", "first_hits", "mean_age")


def telemetry_paths(folder: Path, sequence: str) -> list[Path]:
    """The files of a finished sequence in OUTPUT/telemetry: its lines, its moments, its curves."""
    return [folder / f"{sequence}.jsonl", folder / f"{sequence}.npz", folder / "tensorboard" / sequence]


class Recorder:
    """Observes `bank` over one sequence: `record(frame name)` after every step.

    A context manager: files have temporary names until the end, and are removed after an error. During a step only
    the matches are noted; all counting is in `record`, outside the time of the segmenter.

    Args:
        bank: a fresh one, of the segmenter whose steps are recorded. folder: OUTPUT/telemetry. sequence: its name.
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
        self.bank.observer, self.bank.watched = self._observe, True
        return self

    def _observe(self, matches: TopK) -> None:
        self._matches = matches

    def record(self, name: str) -> None:
        """Write the line of the frame `name`, after its step."""
        entries = self.bank.entries
        read = self.ledger.count(self._matches, None if entries is None else entries.first_write)
        evicted = self.ledger.follow(entries)
        line = describe_frame(self.frame, name, self.bank, self.ledger.rows, len(evicted)) | read
        if line["written"] or len(evicted):
            self.moments.add(self.frame, self.ledger.rows, evicted)
        with file_named_in_errors(self._targets[0]):
            self._file.write(json.dumps(line) + "\n")
        self._matches = self.bank.quality = None
        self.frame += 1

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bank.observer, self.bank.watched = None, False
        try:
            with file_named_in_errors(self._targets[0]):
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
    """One row per visible row of a bank, in the same order: which entry it holds, and how often it was in a top-k.

    The count of an entry, (written, cell), goes with it if it moves to another row, and ends with it: the ledger is
    never larger than the bank.
    """

    def __init__(self) -> None:
        self.rows = np.zeros(0, ROW)
        self.held = 0                      # the first rows are stored entries, the others belong to the temporary frame

    def count(self, matches: TopK | None, first: int | None) -> dict[str, float | None]:
        """Count a read over the rows; returns the shares of the first frame, written at `first`.

        first_hits: share of the top-k; first_mass: share of their softmax weight; None if nothing was read.
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
        """Copy the bank's rows; returns the stored entries that are gone.

        A temporary frame that ends is not among them. `owner` of temporary entries is 0: the bank does not store it.
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
        left, new = gone.nonzero()[0], np.concatenate([(~same).nonzero()[0], np.arange(both, len(self.rows))])
        _, source, target = np.intersect1d(
            _identity(before[left]), _identity(self.rows[new]), assume_unique=True, return_indices=True)
        self.rows["uses"][new[target]] = before["uses"][left[source]]       # moved, since an object was forgotten
        gone[left[source]] = False
        evicted: np.ndarray = before[:held][gone[:held]]
        return evicted


def _identity(rows: np.ndarray) -> np.ndarray:
    """A number for the entry of each row of ROW."""
    identity: np.ndarray = (rows["written"].astype(np.int64) << 32) + rows["cell"]
    return identity


def describe_frame(frame: int, name: str, bank: MemoryBank, rows: np.ndarray, evicted: int) -> dict[str, Any]:
    """A line: what the bank holds after the step of `frame`. Survivors are the entries that a read would see.

    evicted: stored entries that this frame's write removed. written: whether the bank holds this frame, stored or
    temporary. sources: {frame written: survivors}. objects: {object, by order of appearance: stored survivors that show
    it or lie beside it}; first_objects: the same for the first frame written. ages: {lower edge of a bin of AGES:
    survivors}, in video frames. never_used: share of the entries that a read has seen which were in no query cell's
    top-k since their write (None: no entries). quality: {object, by order of appearance: area and confidence of its
    mask in this frame, as `inference/quality.py` defines them}.
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
        "quality": {} if bank.quality is None else described_quality(bank.quality),
    }


def described_quality(quality: Quality) -> dict[str, dict[str, float]]:
    """{1 + object: area in pixels and confidence}; keys are strings, as JSON has them."""
    host = quality.cpu()
    return {
        str(number): {"area": int(area), "confidence": round(confidence, 6)}
        for number, (area, confidence) in enumerate(zip(host.area.tolist(), host.confidence.tolist(), strict=True), 1)
    }


def histogram(values: np.ndarray) -> dict[str, int]:
    """{value: how often}, ascending; keys are strings, as JSON has them."""
    found, counts = np.unique(values, return_counts=True)
    return dict(zip(map(str, found.tolist()), counts.tolist(), strict=True))


def write_curves(lines: Path, folder: Path) -> None:
    """The CURVES of a file of lines as TensorBoard scalars in `folder`."""
    from torch.utils.tensorboard import SummaryWriter  # takes half a second; needed by telemetry alone

    remove(folder)
    with SummaryWriter(str(folder)) as writer, open(lines, encoding="utf-8") as file:
        for line in map(json.loads, file):
            for curve in CURVES:
                if line[curve] is not None:
                    writer.add_scalar(f"telemetry/{curve}", line[curve], line["frame"])


def remove(path: Path) -> None:
    """Remove a file, or a folder and its content, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
