"""From sequences to a folder of results: read ahead, segment, write behind, report."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from typing import Any

from tqdm import tqdm

from dataset.folder import FolderSequence, Frame
from inference.run.folder import RunFolder
from inference.run.meter import Meter
from inference.run.read_ahead import ReadAhead
from inference.run.record import SequenceReport, read_report, read_run, totals_of, write_json, write_report
from inference.run.sharding import share
from inference.run.writer import SequenceWriter
from inference.telemetry.recorder import Recorder
from inference.transfer import Download
from inference.views import ViewSegmenter
from model.processes import Processes

_READERS = min(4, os.cpu_count() or 1)      # threads; a GPU can be faster than one thread decodes large frames


def run_sequences(
    sequences: Sequence[FolderSequence], segmenter: ViewSegmenter, folder: RunFolder, processes: Processes,
    overwrite: bool = False, wanted: Callable[[Any], frozenset[str] | None] = lambda _: None,
) -> dict[str, Any]:
    """Segment every sequence, each process its share; returns the content of run.json.

    Sequences that an earlier run with the same settings finished are kept. `wanted` names the frames of a sequence
    whose masks are written (None: all). Raises what `RunFolder.open` raises.
    """
    if processes.first:
        folder.open([sequence.name for sequence in sequences], overwrite)
    processes.wait()
    mine = share(sequences, processes.rank, processes.count)
    done = [sequence for sequence in mine if folder.finished(sequence.name)]
    bar = tqdm(
        total=sum(map(len, mine)), initial=sum(map(len, done)), unit="frame", desc=folder.output.name,
        dynamic_ncols=True, mininterval=0.5, position=processes.rank,
    )
    with bar:
        for sequence in mine:
            if sequence in done:
                continue
            segmenter.reset()
            recorder = folder.recorder(sequence, segmenter)
            report = run_sequence(sequence, segmenter, folder.writer(sequence.name), bar, wanted(sequence), recorder)
            write_report(folder.record(sequence.name), report)
    processes.wait()
    return _finish_run(folder, sequences, write=processes.first)


def run_sequence(
    sequence: FolderSequence, segmenter: ViewSegmenter, writer: SequenceWriter, bar: "tqdm[Any]",
    wanted: frozenset[str] | None = None, recorder: Recorder | None = None,
) -> SequenceReport:
    """Segment one sequence with a fresh segmenter; write the masks of the `wanted` frames (None: all).

    While the next frame is ready, a mask is collected one frame late: a GPU then never waits for the host. Otherwise
    the mask is collected at once, so that the time that a GPU takes is never hidden behind reading.
    """
    meter = Meter(segmenter)
    coming: deque[tuple[Frame, Download]] = deque()

    def collect() -> None:
        frame, download = coming.popleft()
        with meter.segmenting():
            labels = download.result()
        if wanted is None or frame.name in wanted:
            writer.write(frame, labels)

    with writer, recorder or nullcontext(), closing(ReadAhead(sequence.in_threads(_READERS))) as frames:
        for frame in frames:
            with meter.segmenting():
                coming.append((frame, segmenter.download(segmenter.step(frame.image, frame.annotation))))
            meter.count()
            if recorder is not None:
                recorder.record(frame.name)
            while len(coming) > int(frames.ready):
                collect()
            bar.set_postfix_str(f"{sequence.name}, {meter.fps:.1f} FPS", refresh=False)
            bar.update()
        while coming:
            collect()
    return meter.report()


def _finish_run(folder: RunFolder, sequences: Sequence[FolderSequence], write: bool) -> dict[str, Any]:
    """Gather the reports of all processes into run.json."""
    run = read_run(folder.output)
    for outdated in ("scores", "scores_per_sequence"):      # of an earlier selection of sequences, perhaps
        run.pop(outdated, None)
    reports = {sequence.name: read_report(folder.record(sequence.name)) for sequence in sequences}
    run |= {
        "totals": totals_of(list(reports.values())), "sequences": {name: vars(r) for name, r in reports.items()},
    }
    if write:
        write_json(folder.file, run)
    return run
