"""A folder of videos in one command: each is segmented as a single one would be, and finished ones are kept."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataset.files import disk_is_full, in_one_line
from dataset.masked_videos import MaskedVideo, masked_videos
from inference.commands import USER_ERRORS, lack_of_memory
from inference.errors import RunError
from inference.run.folder import OTHER_FOLDER
from inference.run.record import FILE, describe, read_record, read_run, refuse_other_settings, write_json
from inference.run.sharding import share
from inference.video.options import OutputOptions, VideoOptions
from inference.video.output import kinds_of
from inference.video.output_folder import is_ours
from inference.video.single import Setup, UserVideo, segment_one
from model.processes import Processes

SUMMARY = "videos.json"


def segment_folder(given: VideoOptions, wanted: OutputOptions, make_setup: Callable[[], Setup]) -> None:
    """Segment the videos of the folder `given.input`, with the masks of the folder `given.masks`; each process of
    torchrun its share.

    The results of video NAME are in OUTPUT/NAME, exactly those of the command for this video alone. What came of each
    video is in OUTPUT/videos.json. A video that fails is named at the end, and the others are segmented.

    Raises DatasetError if no video has masks; RunError at the start if a video was finished with other settings, unless
    `wanted.overwrite`, and at the end if a video failed.
    """
    assert given.masks is not None
    videos = masked_videos(Path(given.input).expanduser(), given.masks.expanduser())
    processes, setup = Processes.of_evaluation(), make_setup()
    folder = FolderOfVideos(videos, given, wanted, setup)
    if processes.first:
        folder.check()
    processes.wait()
    failures = folder.segment(processes)
    failures = {name: error for each in processes.gather(failures) for name, error in each.items()}
    if processes.first:
        folder.summarize(failures)


class FolderOfVideos:
    """The videos of a command, their options, and what has been made of them."""

    def __init__(
        self, videos: Sequence[MaskedVideo], given: VideoOptions, wanted: OutputOptions, setup: Setup,
    ) -> None:
        self.videos, self.wanted, self.setup = list(videos), wanted, setup
        self.given = {video.name: replace(given, input=str(video.path), mask=video.masks, masks=None)
                      for video in videos}
        self.summary = wanted.output / SUMMARY

    def check(self) -> None:
        """Raises RunError for a video finished with other settings, unless --overwrite; DatasetError for a foreign
        videos.json."""
        if self.summary.exists():
            remedy = "choose another --output, or remove it"
            read_record(self.summary, "a folder of videos", ["videos"], remedy, remedy)
        for video in self.videos:
            self.finished(video)

    def finished(self, video: MaskedVideo) -> bool:
        """Whether all that is asked for is there, made with these settings, and later than the masks."""
        root = self.root(video)
        if not (root / FILE).is_file():
            return False
        settings = read_run(root, damaged=f"remove {root / FILE} and run the same command again")["settings"]
        try:
            refuse_other_settings(root / FILE, settings, self.setup.settings(self.given[video.name]), OTHER_FOLDER)
        except RunError:
            if self.wanted.overwrite:
                return False
            raise
        made = (root / FILE).stat().st_mtime
        there = all((root / kind.name).exists() for kind in kinds_of(self.wanted))
        return there and all(mask.stat().st_mtime <= made for mask in video.masks)

    def root(self, video: MaskedVideo) -> Path:
        return self.wanted.output / video.name

    def segment(self, processes: Processes) -> dict[str, str]:
        """Segment this process's share of the unfinished videos; returns what went wrong, by the name of the video."""
        mine = share(self.videos, processes.rank, processes.count)
        todo = [video for video in mine if not self.finished(video)]
        failures = {}
        place = 2 * processes.rank
        with tqdm(total=len(mine), initial=len(mine) - len(todo), unit="video", desc=self.wanted.output.name,
                  dynamic_ncols=True, position=place) as bar:
            for video in todo:
                if error := self._segment(video, position=place + 1, leave=False):
                    failures[video.name] = error
                    tqdm.write(f"{video.name}: {error}", file=sys.stderr)
                bar.update()
        return failures

    def summarize(self, failures: dict[str, str]) -> None:
        """Write videos.json. Raises RunError if a video failed."""
        done = {video.name: read_run(self.root(video))["totals"] for video in self.videos if video.name not in failures}
        each: dict[str, Any] = {video.name: done.get(video.name, {"error": failures.get(video.name)})
                                for video in self.videos}
        write_json(self.summary, {"command": "segment_video", "videos": each})
        print(f"{len(done)} of {len(self.videos)} videos are finished: {self.summary}")
        for name, error in failures.items():
            print(f"failed: {name}: {error}", file=sys.stderr)
        if failures:
            raise RunError(f"{', '.join(failures)}: expected to segment every video, found that {len(failures)} of "
                           f"{len(self.videos)} failed, for the reasons above; the others are finished and are kept if "
                           "you run the same command again")

    def _segment(self, video: MaskedVideo, **bar: Any) -> str | None:
        """Segment a video anew; returns what is wrong with it, if it fails. A full disk fails all of them."""
        root = self.root(video)
        wanted = replace(self.wanted, output=root, overwrite=self.wanted.overwrite or is_ours(root))
        try:
            finished = segment_one(UserVideo(self.given[video.name], wanted), self.setup, **bar)
            tqdm.write(f"{video.name}: {describe(finished.totals)}")
            return None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped in {video.name}; run the same command again: finished videos are "
                                    "kept") from None
        except Exception as error:
            lack = lack_of_memory(error)
            if disk_is_full(error) or not (lack or isinstance(error, USER_ERRORS)):
                raise
            return lack or in_one_line(error)
