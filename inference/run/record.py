"""What a run remembers: run.json and the reports of its sequences. No PyTorch is loaded.

`run.json` holds all settings, versions and totals, and per sequence the frames, the seconds and the entries held.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.errors import RunError

FILE = "run.json"


@dataclass(frozen=True)
class SequenceReport:
    """What segmenting one sequence took."""

    frames: int
    objects: int
    seconds: float                # in the segmenter: reading and writing files excluded
    wall_seconds: float           # everything
    frames_held_mean: float       # memory utilisation (thesis, table 3): entries / HW, after each frame
    frames_held_peak: float
    bytes_held_peak: int          # of the bank's entries
    convolutions: dict[str, int] = field(default_factory=dict)    # how many use each algorithm, if tuned


def read_record(file: Path, of: str, keys: Iterable[str], missing: str, damaged: str) -> dict[str, Any]:
    """Read a JSON object that has all `keys`.

    Raises DatasetError if it cannot be read: "expected the record of `of`", and what to do if the file is missing or
    damaged.
    """
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if set(keys) <= content.keys():
            return content
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(f"{file}: expected the record of {of}, found none; {missing}") from None
    except (ValueError, AttributeError):
        pass
    raise DatasetError(f"{file}: expected the record of {of}, found something else; {damaged}")


def read_run(folder: Path, settings: Iterable[str] = (), damaged: str = "run the evaluation again") -> dict[str, Any]:
    """Read the run.json of a run folder, whose settings have all the keys `settings`; raises DatasetError."""
    remedies = f"is {folder} a run folder?", damaged
    run = read_record(folder / FILE, "a run", ["settings"], *remedies)
    if not isinstance(run["settings"], dict) or not set(settings) <= run["settings"].keys():
        raise DatasetError(f"{folder / FILE}: expected the record of a run, found something else; {damaged}")
    return run


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically; floats that are not finite become null, since JSON has none."""
    write_text(file, json.dumps(_finite(content), indent=1, allow_nan=False) + "\n")


def refuse_other_settings(file: Path, earlier: dict[str, Any], wanted: dict[str, Any], remedy: str) -> None:
    """Raise RunError if the settings recorded in `file` are not those of this command, written as JSON."""
    wanted = json.loads(json.dumps(wanted))
    for key in wanted | earlier:
        if wanted.get(key) != earlier.get(key):
            raise RunError(f"{file}: expected {key}={wanted.get(key)!r} as in this command, found "
                           f"{earlier.get(key)!r}; {remedy}")


def read_report(file: Path) -> SequenceReport:
    """Read the report of a finished sequence; raises DatasetError."""
    known = fields(SequenceReport)
    needed = [each.name for each in known if each.default_factory is MISSING]
    remedy = "remove it and run the same command again"
    content = read_record(file, "a finished sequence", needed, remedy, remedy)
    return SequenceReport(**{each.name: content[each.name] for each in known if each.name in content})


def write_report(file: Path, report: SequenceReport) -> None:
    file.parent.mkdir(exist_ok=True)
    write_text(file, json.dumps(asdict(report)) + "\n")


def totals_of(reports: Sequence[SequenceReport]) -> dict[str, float]:
    """Over all sequences: frames / seconds (docs/METHOD.md), and the bank's size."""
    frames, seconds, wall = (sum(getattr(r, key) for r in reports) for key in ("frames", "seconds", "wall_seconds"))
    return {
        "frames": frames, "seconds": seconds, "wall_seconds": wall,
        "fps": frames / seconds, "fps_with_files": frames / wall, **held_in_all(reports),
    }


def held_in_all(reports: Sequence[Any]) -> dict[str, float]:
    """What the bank held in all sequences; the mean is over all frames. reports: with the fields of SequenceReport."""
    return {
        "frames_held_mean": sum(r.frames_held_mean * r.frames for r in reports) / sum(r.frames for r in reports),
        "frames_held_peak": max(r.frames_held_peak for r in reports),
        "bytes_held_peak": max(r.bytes_held_peak for r in reports),
    }


def describe(totals: dict[str, float]) -> str:
    """One line for people."""
    return (
        f"{totals['frames']} frames at {totals['fps']:.2f} FPS ({totals['fps_with_files']:.2f} with files), memory "
        f"frames held: {totals['frames_held_mean']:.2f} on average, {totals['frames_held_peak']:.2f} at most"
    )


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
