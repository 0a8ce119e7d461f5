"""Replaying a folder of keys with one process per core; a stopped replay resumes.

A replay's folder holds `replay.json`, what was replayed, and `.records/<video>.json`, the results of every finished
video. Tables and figure are made from these (`inference.lab.replay_report`).
"""

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.files import write_text
from inference.errors import RunError
from inference.lab.contestant import Outcome
from inference.lab.keys import KeyFolder
from inference.lab.replay import LabOptions, Replay, Result
from inference.run.record import read_record, refuse_other_settings, write_json
from inference.run.versions import versions

_ticks: "Synchronized[int]"    # set in a worker: the counter that it shares with the main process


class ReplayFolder:
    """Where a replay's results lie."""

    def __init__(self, root: Path) -> None:
        self.root, self.file = root, root / "replay.json"

    def open(self, settings: dict[str, Any]) -> None:
        """Resume the replay there, or begin one. Raises RunError if it holds one with other settings."""
        if self.file.exists():
            refuse_other_settings(self.file, self.read_settings(), settings, "choose another --output")
            return
        (self.root / ".records").mkdir(parents=True, exist_ok=True)
        write_json(self.file, {"settings": settings, "versions": versions()})

    def read_settings(self) -> dict[str, Any]:
        """Raises DatasetError if there is no replay."""
        content = read_record(
            self.file, "a replay", ["settings"], missing="make one with scripts/policy_lab.py replay",
            damaged="choose another folder",
        )
        settings: dict[str, Any] = content["settings"]
        return settings

    def record(self, video: str) -> Path:
        return self.root / ".records" / f"{video}.json"

    def write(self, video: str, results: list[Result]) -> None:
        write_text(self.record(video), json.dumps([asdict(result) for result in results]) + "\n")

    def read(self, video: str) -> list[Result]:
        """Raises DatasetError if the record is damaged, or written by another version."""
        try:
            rows = json.loads(self.record(video).read_text())
            return [Result(**row | {"outcome": Outcome(**row["outcome"])}) for row in rows]
        except (ValueError, KeyError, TypeError):
            raise DatasetError(f"{self.record(video)}: expected the results of a video, found something else; remove "
                               "it and run the replay again") from None

    def finished(self) -> list[str]:
        """Videos with results, sorted by name."""
        return sorted(path.stem for path in (self.root / ".records").glob("[!.]*.json"))


def replay_videos(
    keys: KeyFolder, videos: Sequence[str], options: LabOptions, folder: ReplayFolder, workers: int
) -> list[Result]:
    """The results of all videos, in their order; those of an earlier run are read. The longest videos run first."""
    folder.open({"keys": keys.settings, **options.recorded})
    frames = {video: keys.videos[video]["frames"] for video in videos}
    todo = sorted((video for video in videos if not folder.record(video).is_file()), key=lambda v: (-frames[v], v))
    reads = {video: 2 * frames[video] - 1 for video in videos}         # by the unbounded bank, and then by all banks
    bar = tqdm(total=sum(reads.values()), initial=sum(reads[video] for video in videos if video not in todo),
               unit="read", desc=folder.root.name, dynamic_ncols=True, mininterval=0.5)
    with bar:
        if workers == 1 or len(todo) < 2:
            with _one_thread():
                for video in todo:
                    folder.write(video, Replay(keys.load(video), options, bar.update).run())
        else:
            _replay_in_processes(keys, todo, options, folder, min(workers, len(todo)), bar)
    return [result for video in videos for result in folder.read(video)]


def _replay_in_processes(
    keys: KeyFolder, todo: list[str], options: LabOptions, folder: ReplayFolder, workers: int, bar: "tqdm[Any]"
) -> None:
    """Write results as they come; after an error only the running videos finish."""
    context = multiprocessing.get_context("spawn")
    ticks = context.Value("q", 0)
    with ProcessPoolExecutor(workers, context, _start_worker, (ticks,)) as pool:
        running: set[Future[tuple[str, list[Result]]]] = {pool.submit(_replay, keys, video, options) for video in todo}
        try:
            while running:
                done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                for video, results in (future.result() for future in done):
                    folder.write(video, results)
                bar.update(bar.initial + ticks.value - bar.n)
        except BrokenProcessPool:
            raise RunError(f"{folder.root}: expected every worker to finish its video, found that one was killed, "
                           "perhaps for lack of memory; run the same command again with fewer --workers") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start_worker(ticks: "Synchronized[int]") -> None:
    """One thread per process. The main process handles Ctrl-C, and no worker outlives it."""
    global _ticks
    _ticks = ticks
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if (main := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(main,), daemon=True).start()


def _end_with(main: BaseProcess) -> None:
    main.join()
    os._exit(1)


def _replay(keys: KeyFolder, video: str, options: LabOptions) -> tuple[str, list[Result]]:
    def tick() -> None:
        with _ticks.get_lock():
            _ticks.value += 1

    return video, Replay(keys.load(video), options, tick).run()


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread, as in the workers, so that results do not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
