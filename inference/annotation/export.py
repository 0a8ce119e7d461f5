"""The results of an annotation as scripts/segment_video.py writes them: the same folder, the same bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from dataset.folder import Frame
from inference.annotation.engine import Engine
from inference.annotation.records import Record
from inference.options import recorded
from inference.run.folder import RunFolder
from inference.run.record import SequenceReport
from inference.video.loop import write_record
from inference.video.options import OutputOptions, VideoOptions
from inference.video.output import VideoOutput, kinds_of
from inference.video.output_folder import OutputFolder
from inference.video.result import Result
from inference.video.watch import Watch

KINDS = ("masks", "overlay", "cutouts", "rle", "polygons")      # of which masks and confidence.csv are always written


def wanted_of(root: Path, kinds: Sequence[str]) -> OutputOptions:
    """Raises ConfigError for a kind whose package is missing."""
    return OutputOptions(root, **{kind: kind in kinds for kind in KINDS if kind != "masks"})


def export(engine: Engine, wanted: OutputOptions, step: Callable[[int, int], bool]) -> list[str]:
    """Write the results; returns the names of what is in the folder then.

    Args:
        wanted: which results. step: called after each frame with the number of frames left and the frame; it returns
        False to stop, and then there is no run.json.
    Raises RunError if files of other origin have the names of results.
    """
    folder = OutputFolder(wanted.output, overwrite=True, needed=list(engine.project.root.glob("given/*.png")))
    output = VideoOutput(folder, kinds_of(wanted), engine.video.fps)
    count, watch, stopped = len(engine.video.names), Watch(), False
    with output:
        for index in range(count):
            result = _result(engine, index)
            output.write(result)
            assert result.quality is not None
            key = engine.records.key(index)
            watch.see(result.frame, result.objects, result.quality, None if key is None else torch.from_numpy(key))
            if stopped := not step(count - 1 - index, index):
                break
    if not stopped:
        _write_run(engine, folder, watch)
    files = [kind.name for kind in output.outputs if kind.exists]
    return files + ([] if stopped else ["run.json"])


def _result(engine: Engine, index: int) -> Result:
    session = engine.session
    labels = session.labels(index)
    record = engine.records.get(index) or Record([], [], [], 0.0, 0.0, 0)
    frame = Frame(engine.video.names[index], session.frames[index], session.given.get(index))
    labels = np.zeros(session.size, np.uint8) if labels is None else labels
    return Result(frame, labels, record.objects, record.quality)


def _write_run(engine: Engine, folder: OutputFolder, watch: Watch) -> None:
    given = tuple(engine.project.given_file(frame) for frame in engine.session.given)
    options = VideoOptions(str(engine.video.path), given, direction=engine.direction)
    run = RunFolder(folder.root, engine.network.settings(engine.bank) | recorded(options), engine.network.about())
    write_record(folder, run, _report(list(engine.records.each.values())), len(engine.video.names), watch)


def _report(records: Sequence[Record]) -> SequenceReport:
    """What segmenting took, over the last time that each frame was segmented."""
    seconds = max(sum(record.seconds for record in records), 1e-9)
    held = [record.held for record in records]
    return SequenceReport(
        len(records), max(len(record.objects) for record in records), seconds, seconds, float(np.mean(held)), max(held),
        max(record.bytes_held for record in records))
