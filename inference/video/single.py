"""One video of a user: from its masks and options to a finished folder of results."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataset.given_masks import GivenMasks
from dataset.videofile import open_video
from inference.device import device_of
from inference.evaluation import make_segmenter, run_settings
from inference.memory import MemoryOptions
from inference.options import recorded
from inference.run.folder import RunFolder
from inference.run.read_ahead import ReadAhead
from inference.runtime import RuntimeOptions, load_for
from inference.session.frames import Frames, open_frames
from inference.video.both import segment_both
from inference.video.live import LiveView
from inference.video.loop import segment_video, write_record
from inference.video.memory_file import check_memory_target, load_memory, save_memory
from inference.video.options import OutputOptions, VideoOptions
from inference.video.output import VideoOutput, kinds_of
from inference.video.output_folder import OutputFolder
from inference.video.watch import Watch
from inference.views import ViewOptions
from model.errors import ConfigError


class Setup:
    """What all videos of a command share: a segmenter, and how it was made."""

    def __init__(self, weights: Path, runtime: RuntimeOptions, views: ViewOptions, memory: MemoryOptions) -> None:
        self.weights = weights
        self.make = partial(make_segmenter, load_for(runtime, weights), runtime, views, memory)
        self.segmenter = self.make()
        self.about = {"weights": str(weights), "device": str(device_of(runtime.device)), "processes": 1}
        self._settings = run_settings("segment_video", weights, [runtime, views, memory])

    def begin(self, video: VideoOptions) -> None:
        """Make the segmenter ready for a video: nothing is in memory but what `--memory-from` brings.

        Raises CheckpointError for a memory that it cannot use.
        """
        self.segmenter.reset()
        if video.memory_from:
            load_memory(video.memory_from, self.segmenter, self.settings(video), self.weights)
            self.segmenter.freeze(video.frozen)
            tqdm.write(f"from {video.memory_from}: objects {', '.join(map(str, self.segmenter.objects))}")

    def settings(self, video: VideoOptions) -> dict[str, Any]:
        """What the masks of a video depend on, for its run.json."""
        return self._settings | recorded(video)


class UserVideo:
    """A video with its masks, checked.

    Raises DatasetError for a video or masks that cannot be used, ConfigError for a window that cannot be opened and for
    a memory file that is there already.
    """

    def __init__(self, given: VideoOptions, wanted: OutputOptions) -> None:
        if given.save_memory:
            check_memory_target(given.save_memory, wanted.overwrite)
        self.wanted = wanted
        self.source = open_video(given.input, excluded=given.mask)
        self.both, self.path = given.direction == "both", given.input
        if self.both and self.source.live:
            raise ConfigError("--direction both: expected a video file or a folder of images, which have an end, found "
                              f"{self.source.name}, a camera or stream; omit --direction both")
        self.masks = GivenMasks(given.mask, self.source, anywhere=self.both)
        self.view = LiveView(self.source.name) if wanted.show else None
        self.given = replace(given, input=self.source.name)        # as it may be recorded: without passwords

    def frames(self) -> Frames:
        """By their number, for both directions. Raises DatasetError if a mask belongs to a frame after the end."""
        frames, limit = open_frames(self.path, self.given.mask, self.given.max_frames), self.given.max_frames
        if len(frames) != limit:
            self.masks.refuse_after(len(frames) - 1)
        return frames


@dataclass(frozen=True)
class Finished:
    """What came of a video."""

    totals: dict[str, Any]         # of run.json
    output: VideoOutput
    watch: Watch


def segment_one(video: UserVideo, setup: Setup, **bar: Any) -> Finished:
    """Segment a video with a fresh segmenter, and write its results. bar: options of the progress bar."""
    source, given, wanted = video.source, video.given, video.wanted
    setup.begin(given)
    if given.keep_given:
        setup.segmenter.check_room(len(video.masks.paths))
    in_any_order = video.frames() if video.both else None
    read: list[Path | str] = [setup.weights, source.name, *video.masks.paths.values()]
    read += [given.memory_from] if given.memory_from else []
    folder = OutputFolder(wanted.output, wanted.overwrite, read)
    output = VideoOutput(folder, kinds_of(wanted), source.fps)
    total = min(filter(None, (source.announced, given.max_frames)), default=None)
    progress = tqdm(total=total, unit="frame", desc=wanted.output.name, dynamic_ncols=True, mininterval=0.5, **bar)
    watch = Watch(given.pause_when_lost)
    if in_any_order is not None:
        report = segment_both(in_any_order, video.masks, setup.make, given.keep_given, output, progress, video.view,
                              watch)
    else:
        frames, setup.segmenter.keep_given = video.masks.annotate(source, given.max_frames), given.keep_given
        report = segment_video(
            frames if source.live else ReadAhead(frames), setup.segmenter, output, progress, video.view, watch)
    if given.save_memory:
        save_memory(given.save_memory, setup.segmenter, setup.settings(given), setup.weights)
    run = RunFolder(wanted.output, setup.settings(given), setup.about)
    return Finished(write_record(folder, run, report, source.announced, watch), output, watch)
