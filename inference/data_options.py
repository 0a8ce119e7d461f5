"""Which data set an evaluation runs on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset.benchmarks import Benchmark, BenchmarkVideo, benchmark_videos, read_unseen
from dataset.davis import davis_sequences
from dataset.folder import FolderSequence
from dataset.youtube import YouTubeSequence, youtube_sequences
from inference.options import Options, option

Year = Literal[2016, 2017]


@dataclass(frozen=True)
class DavisOptions(Options):
    """Sequences of DAVIS."""

    davis_root: Path = option(help="folder with JPEGImages, Annotations and ImageSets", metavar="DIR")
    year: Year = option(2017, "2016: one object; 2017: several")
    split: str = option("val", "a list in ImageSets: val, train or test-dev")
    resolution: Literal["480p", "Full-Resolution"] = option("480p", "folder below JPEGImages and Annotations")
    sequences: tuple[str, ...] | None = option(
        None, "evaluate only these sequences", metavar="NAME", recorded=False)

    def read(self) -> list[FolderSequence]:
        """Raises DatasetError."""
        return davis_sequences(self.davis_root, self.year, self.split, self.resolution, self.sequences)


@dataclass(frozen=True)
class YouTubeOptions(Options):
    """Videos of YouTube-VOS, or of any folder laid out like it."""

    youtube_root: Path = option(help="folder with JPEGImages, Annotations and, optionally, meta.json", metavar="DIR")
    all_frames_root: Path | None = option(
        None, "the same videos with every frame: all of them are segmented", metavar="DIR")
    write_all_frames: bool = option(False, "write every frame's mask, not only the required ones")
    sequences: tuple[str, ...] | None = option(None, "evaluate only these videos", metavar="NAME", recorded=False)

    def read(self) -> list[YouTubeSequence]:
        """Raises DatasetError."""
        return youtube_sequences(self.youtube_root, self.all_frames_root, self.sequences)


@dataclass(frozen=True)
class BenchmarkOptions(Options):
    """Videos of LVOS, MOSE, VOST or Long-time Video."""

    benchmark: Benchmark = option(help="the data set; it decides the layout and the scores")
    root: Path = option(help="its folder, or (LVOS, MOSE) the folder of one of its splits", metavar="DIR")
    split: str | None = option(
        None, "LVOS, MOSE: folder below the root (default: valid or val); VOST: a list in ImageSets (default: val)")
    sequences: tuple[str, ...] | None = option(None, "evaluate only these videos", metavar="NAME", recorded=False)

    def read(self) -> list[BenchmarkVideo]:
        """Raises DatasetError."""
        return benchmark_videos(self.root, self.benchmark, self.split, self.sequences)

    def unseen_videos(self, file: Path | None = None) -> frozenset[str] | None:
        """The videos of LVOS whose categories training lacks, from `file` or the root; None if there is no list.

        Raises DatasetError if there is no such `file`.
        """
        return read_unseen(self.root, self.split, file) if self.benchmark == "lvos" else None
