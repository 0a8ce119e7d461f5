"""Benchmarks of long and hard videos: LVOS v1 and v2, MOSE v1 and v2, VOST, Long-time Video.

Hong et al., "LVOS: a benchmark for long-term video object segmentation", ICCV 2023 (v2: arXiv 2404.19326); Ding et al.,
"MOSE: a new dataset for video object segmentation in complex scenes", ICCV 2023 (v2: arXiv 2508.05630); Tokmakov et
al., "Breaking the 'object' in video object segmentation", CVPR 2023 (VOST); Liang et al., "Video object segmentation
with adaptive feature bank and uncertain-region refinement", NeurIPS 2020 (Long-time Video). docs/DATA.md shows their
trees; `inference/scoring/benchmarks.py` has their rules of scoring.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dataset.davis import names_in
from dataset.errors import DatasetError
from dataset.image_files import by_frame_name, list_images
from dataset.listed_videos import subfolders
from dataset.youtube import YouTubeSequence, chosen_videos, read_meta

Benchmark = Literal["lvos", "mose", "vost", "longvideo"]
TITLES: dict[str, str] = {"lvos": "LVOS", "mose": "MOSE", "vost": "VOST", "longvideo": "Long-time Video"}
SPLITS: dict[str, tuple[str, ...]] = {      # folders or lists of the split that is evaluated by default
    "lvos": ("valid", "val"), "mose": ("valid", "val"), "vost": ("val",), "longvideo": ()}
UNSEEN = "unseen_videos.txt"                # comes with the evaluation toolkit of LVOS
_STEP = 5                                   # LVOS numbers its frames by 5


@dataclass(frozen=True)
class FrameRange:
    """Where an object of LVOS counts: the numbers of its first and last frame, and how many frames are annotated."""

    start: int
    end: int
    count: int

    def scored(self) -> list[str]:
        """The frames that are scored: every fifth frame of the range without the first and the last.

        As in the evaluation toolkit of LVOS: from `start` in steps of 5 to before `end`, without frames 0 and
        `count` - 1 of this series.
        """
        numbers = range(self.start, self.end, _STEP)
        return [f"{number:08d}" for index, number in enumerate(numbers) if index not in (0, self.count - 1)]


@dataclass
class BenchmarkVideo(YouTubeSequence):
    """A video whose objects are each given once: where they first appear (LVOS, MOSE), or in the first frame.

    `objects` are those that the metadata list, empty without metadata; `ranges` are those of LVOS.
    """

    objects: tuple[int, ...] = ()
    ranges: dict[int, FrameRange] = field(default_factory=dict)


def benchmark_videos(
    root: Path | str, benchmark: Benchmark, split: str | None = None, names: Sequence[str] | None = None
) -> list[BenchmarkVideo]:
    """The videos of a split, sorted by name; those of VOST in the order of its list.

    Args:
        root: the folder of the data set, or (LVOS, MOSE) of one of its splits. split: None: the one with public masks.
        names: read only these videos.

    Raises DatasetError for missing files, damaged metadata, and an unknown name.
    """
    root = Path(root)
    folder = split_folder(root, benchmark, split)
    for kind in ("JPEGImages", "Annotations"):
        if not (folder / kind).is_dir():
            raise DatasetError(f"{folder / kind}: expected the {kind} of {TITLES[benchmark]}, found no such folder; "
                               "check the root (docs/DATA.md shows its tree)")
    listed = videos_and_objects(root, folder, benchmark, split)
    if not listed:
        raise DatasetError(f"{folder / 'Annotations'}: expected a folder per video, found none; check the root")
    return [_video(folder, benchmark, name, listed[name]) for name in chosen_videos([*listed], names, folder)]


def split_folder(root: Path, benchmark: str, split: str | None = None) -> Path:
    """The folder that holds JPEGImages and Annotations: `root`, or that of the split below it."""
    if benchmark in ("vost", "longvideo") or (root / "JPEGImages").is_dir():
        return root
    splits = (split,) if split else SPLITS[benchmark]
    return next((root / each for each in splits if (root / each).is_dir()), root / splits[0])


def meta_file(root: Path, folder: Path, benchmark: str) -> Path | None:
    """The metadata of a split, in its folder or beside it; None if there are none."""
    name = folder.name
    if benchmark == "lvos":
        files = [f"{each}_meta.json" for each in dict.fromkeys((name, *SPLITS["lvos"], "test", "train"))]
    else:
        files = ["meta.json", f"meta_{name}.json"]
    places = [folder / each for each in (*files, "meta.json")] + [root / each for each in files]
    return next((path for path in places if path.is_file()), None)


def videos_and_objects(
    root: Path, folder: Path, benchmark: str, split: str | None = None
) -> dict[str, dict[str, dict[str, Any]]]:
    """Video -> object number -> its entry in the metadata, which may be empty.

    Raises DatasetError if there is no list of VOST's split or no metadata of LVOS.
    """
    if benchmark == "vost":
        path = root / "ImageSets" / f"{split or SPLITS['vost'][0]}.txt"
        if not path.is_file():
            raise DatasetError(f"{path}: expected the list of videos of VOST, found no such file; check --split")
        return {name: {} for name in names_in(path)}
    path_of_meta = None if benchmark == "longvideo" else meta_file(root, folder, benchmark)
    if path_of_meta is not None:
        return read_meta(path_of_meta) or {}
    if benchmark == "lvos":
        raise DatasetError(f"{folder / 'valid_meta.json'}: expected the metadata of LVOS, which say where each object "
                           "counts, found no such file; restore it from the archive")
    return {path.name: {} for path in subfolders(folder / "Annotations")}


def frame_range(entry: dict[str, Any]) -> FrameRange:
    """The range of an object of LVOS; raises KeyError, TypeError or ValueError if the entry has none."""
    content = entry["frame_range"]
    return FrameRange(int(content["start"]), int(content["end"]), int(content["frame_nums"]))


def read_unseen(root: Path, split: str | None = None, file: Path | None = None) -> frozenset[str] | None:
    """The videos of LVOS whose categories training lacks: the lines of `file`, or of unseen_videos.txt in the root.

    None if there is no such file; raises DatasetError if `file` is given and missing.
    """
    places = [file] if file else [split_folder(root, "lvos", split) / UNSEEN, root / UNSEEN]
    for path in places:
        if path.is_file():
            return frozenset(names_in(path))
    if file:
        raise DatasetError(f"{file}: expected a text file with one video per line, found no such file; check --unseen")
    return None


def _video(folder: Path, benchmark: str, name: str, objects: dict[str, dict[str, Any]]) -> BenchmarkVideo:
    frames = list_images(folder / "JPEGImages" / name)
    truth = by_frame_name(list_images(folder / "Annotations" / name))
    if not frames or not truth:
        missing = folder / ("Annotations" if frames else "JPEGImages") / name
        raise DatasetError(f"{missing}: expected the files of a video, found none; restore them from the archive")
    given = truth
    if benchmark in ("vost", "longvideo"):
        first = frames[0].stem
        if first not in truth:
            raise DatasetError(f"{folder / 'Annotations' / name / first}.png: expected the mask of the first frame, "
                               "found no such file; restore it from the archive")
        given = {first: truth[first]}
    try:
        ranges = {int(number): frame_range(entry) for number, entry in objects.items()} if benchmark == "lvos" else {}
    except (KeyError, TypeError, ValueError):
        raise DatasetError(f"{folder}: expected a frame_range with start, end and frame_nums for each object of {name} "
                           "in the metadata of LVOS, found something else; restore them from the archive") from None
    return BenchmarkVideo(
        name, frames, given, ground_truth=truth, required=frozenset(path.stem for path in frames),
        objects=tuple(sorted(map(int, objects))), ranges=ranges,
    )
