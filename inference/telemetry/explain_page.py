"""One HTML page that steps through what a memory bank kept. It contains all pictures and numbers, and no library.

The page is `explain_page.html` with one JSON object put into it. Frames are JPEGs; what is large and regular (label
maps, entries) is deflated. Long videos are thinned: at most MAX_FRAMES frames of a sequence, at most MAX_SOURCES source
frames, those of which most entries were held, and moments with at most MAX_ROWS entries in all.
"""

import base64
import io
import json
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dataset.masks import PALETTE
from inference.memory import MemoryOptions
from inference.telemetry.frames import Explained
from inference.telemetry.moments import COLUMNS, ROW, Moment
from model.geometry import STRIDE

MAX_FRAMES, MAX_SOURCES, MAX_ROWS = 150, 48, 300_000
TEMPLATE = Path(__file__).with_suffix(".html")
_PLACE = "__CONTENT__"
_SETTINGS = tuple(each.name for each in fields(MemoryOptions))
_QUALITY = 72         # of the JPEGs: a frame of 320 pixels takes about 10 kB


def page(clips: list[Explained], run: dict[str, Any], title: str) -> str:
    """The page of these sequences of a run (the content of its run.json)."""
    scores = run.get("scores_per_sequence") or {}
    content = {
        "title": title, "settings": {key: run["settings"].get(key) for key in _SETTINGS},
        "palette": PALETTE.tolist(),
        "sequences": [_sequence(clip, (scores.get(clip.name) or {}).get("J&F-Mean")) for clip in clips],
    }
    text = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")     # no text ends the element
    return TEMPLATE.read_text(encoding="utf-8").replace(_PLACE, text)


def _sequence(clip: Explained, score: float | None) -> dict[str, Any]:
    sources = _sources(clip.telemetry.moments)
    frames = _frames(len(clip.telemetry.lines), sources)
    moments = [_of_sources(moment, sources) for moment in clip.telemetry.moments]
    while len(moments) > 2 and sum(len(moment.rows) for moment in moments) > MAX_ROWS:
        moments = moments[::2]
    pictures = [clip.picture(frame) for frame in frames]
    rows = np.concatenate([np.zeros(0, ROW), *(moment.rows for moment in moments)])
    return {
        "name": clip.name, "score": score, "frames": frames, "total": len(clip.telemetry.lines),
        "lines": [clip.telemetry.lines[frame] for frame in frames],
        "accuracy": [clip.accuracy.get(frame) for frame in frames],
        "width": pictures[0].shape[1], "height": pictures[0].shape[0],
        "pictures": [_jpeg(picture) for picture in pictures],
        "labels": _packed(np.stack([clip.labels(frame) for frame in frames])),
        "grid": clip.telemetry.grid, "size": clip.telemetry.size, "stride": STRIDE, "sources": sources,
        "moments": [moment.frame for moment in moments],
        "starts": np.cumsum([0, *(len(moment.rows) for moment in moments)]).tolist(),
        "columns": {name: _packed(rows[name].astype("<i4")) for name in COLUMNS},
    }


def _sources(moments: list[Moment]) -> list[int]:
    """The frames that entries come from, ascending: at most MAX_SOURCES, the first and those with most entries."""
    if not moments:
        return []
    written = np.concatenate([moment.rows["written"] for moment in moments])
    sources, entries = np.unique(written, return_counts=True)
    entries[0] = entries.sum()
    return sorted(sources[np.argsort(-entries, kind="stable")[:MAX_SOURCES]].tolist())


def _frames(count: int, sources: list[int]) -> list[int]:
    """All frames, or MAX_FRAMES of them: the sources, and others evenly spread."""
    if count <= MAX_FRAMES:
        return list(range(count))
    spread = np.linspace(0, count - 1, MAX_FRAMES - len(sources)).round().astype(int)
    return sorted({*spread.tolist(), *sources})


def _of_sources(moment: Moment, sources: list[int]) -> Moment:
    return Moment(moment.frame, moment.rows[np.isin(moment.rows["written"], sources)])


def _jpeg(image: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_QUALITY, optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode()
