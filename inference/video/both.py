"""A user's video in both directions: the backward pass, then the loop over its frames."""

import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataset.folder import Frame
from dataset.given_masks import GivenMasks
from inference.run.record import SequenceReport
from inference.session import Session
from inference.session.both import SessionSegmenter
from inference.session.frames import Frames
from inference.video.live import LiveView
from inference.video.loop import segment_video
from inference.video.output import VideoOutput
from inference.video.watch import Watch
from inference.views import ViewSegmenter


def segment_both(
    frames: Frames, masks: GivenMasks, make: Callable[[], ViewSegmenter], keep_given: bool, output: VideoOutput,
    bar: "tqdm[Any]", view: LiveView | None = None, watch: Watch | None = None,
) -> SequenceReport:
    """As `segment_video`, in both directions. Each frame is written when it is final; the bar counts both passes.

    Args:
        masks: those of frames that are left out are ignored. make: makes the segmenter of a pass.
    Raises MemoryConfigError if `keep_given` and the capacity is too small for the given masks.
    """
    with tempfile.TemporaryDirectory(prefix="passes-") as folder:
        session = Session(frames, make, both=True, keep_given=keep_given, folder=Path(folder))
        for index in masks.paths:
            if index < len(frames) and (labels := masks.at(index)) is not None:
                session.give(index, labels)
        begin = time.perf_counter()
        _run_backward(session, bar)
        seconds = time.perf_counter() - begin
        report = segment_video(_frames(session, masks), SessionSegmenter(session), output, bar, view, watch)
        return replace(report, seconds=report.seconds + seconds, wall_seconds=report.wall_seconds + seconds)


def _run_backward(session: Session, bar: "tqdm[Any]") -> None:
    bar.total = session.steps_left
    bar.set_postfix_str("backward")
    try:
        for _ in session.run_backward():
            bar.update()
    except BaseException:
        bar.close()
        raise


def _frames(session: Session, masks: GivenMasks) -> Generator[Frame, None, None]:
    names = masks.video.frame_names
    for index in range(len(session.frames)):
        yield Frame(names[index] if names else f"{index:05d}", session.frames[index], session.given.get(index))
