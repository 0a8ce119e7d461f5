"""The data of an earlier run, found by its settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset.benchmarks import benchmark_videos
from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.youtube import youtube_sequences


def davis_of(
    settings: dict[str, Any], root: Path, names: Sequence[str], split: str | None = None
) -> list[FolderSequence]:
    """Sequences of a run of eval_davis.py, of its year, resolution and split, or of another `split`."""
    defaults: dict[str, Any] = {"year": 2017, "split": "val", "resolution": "480p"}
    settings = defaults | settings
    return davis_sequences(root, settings["year"], split or settings["split"], settings["resolution"], names)


def sequences_of(
    run: Path, settings: dict[str, Any], names: Sequence[str], davis_root: Path | None, youtube_root: Path | None,
    all_frames_root: Path | None, benchmark_root: Path | None = None,
) -> Sequence[FolderSequence]:
    """Sequences of a run of eval_davis.py, eval_youtube.py or eval_folder.py, by the root of its data.

    `benchmark_root` is None: as recorded. Raises DatasetError if the root of another run is None.
    """
    if settings["command"] == "eval_folder":
        root = benchmark_root or Path(settings["root"])
        return benchmark_videos(root, settings["benchmark"], settings["split"], names)
    youtube = settings["command"] == "eval_youtube"
    root, flag = (youtube_root, "--youtube-root") if youtube else (davis_root, "--davis-root")
    if root is None:
        raise DatasetError(f"{run}: expected {flag} for this run of {settings['command']}.py, found none; give it")
    return youtube_sequences(root, all_frames_root, names) if youtube else davis_of(settings, root, names)
