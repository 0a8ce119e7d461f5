"""Segmenting a user's video from end to end, for hours if need be: the loop, its progress, its record."""

import sys
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from dataset.folder import Frame
from inference.run.folder import RunFolder
from inference.run.meter import Meter
from inference.run.read_ahead import ReadAhead
from inference.run.record import SequenceReport, write_json
from inference.video.live import LiveView
from inference.video.output import VideoOutput
from inference.video.output_folder import OutputFolder
from inference.video.result import Result
from inference.video.watch import Watch
from inference.views import ViewSegmenter
from model.training.signals import StopSignals


def segment_video(
    frames: Generator[Frame, None, None] | ReadAhead[Frame], segmenter: ViewSegmenter, output: VideoOutput,
    bar: "tqdm[Any]", view: LiveView | None = None, watch: Watch | None = None,
) -> SequenceReport:
    """Segment a video of unknown length with a fresh segmenter, one frame in memory at a time.

    Args:
        frames: closed at the end. view: shows each result, if given. watch: notes the quality of each mask, if given,
        which is then among the results.
    Ctrl-C, SIGTERM and closing the view raise KeyboardInterrupt after the current frame; then, and after errors,
    everything segmented by then is written, and a message says so.
    """
    meter = Meter(segmenter)
    try:
        with StopSignals() as signals, output, closing(frames), bar:
            for frame in frames:
                with meter.segmenting():
                    probabilities = segmenter.step(frame.image, frame.annotation)
                    labels = segmenter.labels(probabilities)
                meter.count()
                kept = probabilities if output.wants_probabilities else None
                quality = segmenter.quality(probabilities).cpu() if watch else None
                output.write(Result(frame, labels, segmenter.objects, quality, kept))
                if watch and quality:
                    watch.see(frame, segmenter.objects, quality, segmenter.mean_key)
                bar.set_postfix_str(f"{meter.fps:.1f} FPS, {segmenter.frames_held:.1f} held", refresh=False)
                bar.update()
                if view and not view.show(frame.image, labels):
                    raise KeyboardInterrupt("window closed")
                if signals.received:
                    break
            if signals.received:                 # perhaps while the loop waited for a camera
                raise KeyboardInterrupt(signals.received)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{str(stop) or 'interrupted'}: stopped, {output.describe()}; the video is not "
                                "finished, so there is no run.json; --overwrite starts again") from None
    except BaseException:
        print(f"stopped before the end, {output.describe()}; there is no run.json", file=sys.stderr)
        raise
    return meter.report()


def write_record(
    folder: OutputFolder, run: RunFolder, report: SequenceReport, announced: int | None, watch: Watch | None = None
) -> dict[str, Any]:
    """Write run.json, the mark of a finished video; returns its totals."""
    totals = asdict(report) | {
        "fps": report.frames / report.seconds, "fps_with_files": report.frames / report.wall_seconds,
        "frames_announced": announced,
    }
    folder.new(run.file.name)
    write_json(run.file, run.heading() | {"totals": totals} | (watch.record() if watch else {}))
    return totals
