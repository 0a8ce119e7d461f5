"""Segmenting one user's video from end to end, for hours if need be: the loop, its progress, its record."""

import sys
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict

from tqdm import tqdm

from dataset.folder import Frame
from inference.run.runner import RunFolder, SequenceReport, versions, write_run
from inference.video.live import LiveView
from inference.video.output import VideoOutput
from inference.video.output_folder import OutputFolder
from inference.views import ViewSegmenter
from model.training.signals import StopSignals


def segment_video(
    frames: Generator[Frame, None, None], segmenter: ViewSegmenter, output: VideoOutput, bar: tqdm,
    view: LiveView | None = None,
) -> SequenceReport:
    """Segment a video of unknown length with a fresh segmenter, a frame in memory at a time.

    Args:
        frames: a generator, closed at the end. view: shows each result where it is given.
    Ctrl-C, SIGTERM and closing the view raise KeyboardInterrupt after the frame at hand; then, and after errors,
    everything segmented by then is written, and a message says so.
    """
    started = time.perf_counter()
    count, seconds, held, held_peak, bytes_peak = 0, 0.0, 0.0, 0.0, 0
    try:
        with StopSignals() as signals, output, closing(frames), bar:
            for frame in frames:
                begin = time.perf_counter()
                labels = segmenter.labels(segmenter.step(frame.image, frame.annotation))
                seconds += time.perf_counter() - begin
                output.write(frame, labels, segmenter.objects)
                count, held = count + 1, held + segmenter.frames_held
                held_peak, bytes_peak = max(held_peak, segmenter.frames_held), max(bytes_peak, segmenter.bytes_held)
                bar.set_postfix_str(f"{count / seconds:.1f} FPS, {segmenter.frames_held:.1f} held", refresh=False)
                bar.update()
                if view and not view.show(frame.image, labels):
                    raise KeyboardInterrupt("window closed")
                if signals.received:
                    break
            if signals.received:                 # maybe while a camera kept us waiting
                raise KeyboardInterrupt(signals.received)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{str(stop) or 'interrupted'}: stopped, {output.describe()}; the video is not "
                                "finished, so there is no run.json; --overwrite starts anew") from None
    except BaseException:
        print(f"stopped before the end, {output.describe()}; there is no run.json", file=sys.stderr)
        raise
    return SequenceReport(
        frames=count, objects=len(segmenter.objects), seconds=seconds, wall_seconds=time.perf_counter() - started,
        frames_held_mean=held / count, frames_held_peak=held_peak, bytes_held_peak=bytes_peak,
    )


def write_record(folder: OutputFolder, run: RunFolder, report: SequenceReport, announced: int | None) -> dict:
    """Write run.json, the mark of a finished video; returns its totals."""
    totals = asdict(report) | {
        "fps": report.frames / report.seconds, "fps_with_files": report.frames / report.wall_seconds,
        "frames_announced": announced,
    }
    folder.new(run.file.name)
    write_run(run, {"settings": run.settings, "about": run.about, "versions": versions(), "totals": totals})
    return totals
