"""DAVIS 2016 and 2017 as their archives unpack: the semi-supervised protocol.

Perazzi et al., "A benchmark dataset and evaluation methodology for video object segmentation", CVPR 2016;
Pont-Tuset et al., "The 2017 DAVIS challenge on video object segmentation", 2017.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.image_files import by_frame_name, list_images
from dataset.label_maps import read_given_mask

DAVIS_RESOLUTIONS = ("480p", "1080p", "Full-Resolution")      # folders below JPEGImages and Annotations


def davis_sequences(
    root: Path | str,
    year: int = 2017,
    split: str = "val",
    resolution: str = "480p",
    names: Sequence[str] | None = None,
) -> list[FolderSequence]:
    """The sequences of a split, in the order of its list; only the annotation of the first frame is given.

    `names` restricts them to these sequences. The `ground_truth` of a sequence holds all annotations found; in splits
    whose labels are not public, this is only the first one (`has_full_ground_truth`). In 2016, every label above 0 is
    the one object.

    Raises DatasetError for missing files and for first masks that are refused (`label_maps.given_problem`).
    """
    root = Path(root)
    if year not in (2016, 2017):
        raise DatasetError(f"{root}: expected DAVIS year 2016 or 2017, found {year}; give --year 2016 or 2017")
    if not root.is_dir():
        raise DatasetError(f"{root}: expected the DAVIS folder (with JPEGImages, Annotations and ImageSets), "
                           "found no such folder; check --davis-root")
    frames, annotations = (_resolution_folder(root / kind, resolution) for kind in ("JPEGImages", "Annotations"))
    split_list = _find_split_list(root, year, split, resolution)
    listed = _read_split_list(split_list)
    return [_sequence(frames / name, annotations / name, year) for name in _chosen(listed, names, split_list)]


def has_full_ground_truth(sequence: FolderSequence) -> bool:
    """Whether every frame has an annotation to score against."""
    return all(name in sequence.ground_truth for name in sequence.frame_names)


def split_names(root: Path, year: int, split: str, resolution: str = "480p") -> list[str]:
    """The names of the sequences of a split in the order of its list; the list may have either of its two forms.

    Raises DatasetError for a list that is missing or empty.
    """
    return _read_split_list(_find_split_list(root, year, split, resolution))


def names_in(split_list: Path) -> list[str]:
    """Sequence names in order; a line holds a name, or (archive of 2016) one frame path and mask path."""
    try:
        lines = split_list.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DatasetError(f"{split_list}: expected names of sequences in UTF-8, found another encoding; save it as "
                           "UTF-8") from None
    lines = [line.strip() for line in lines if line.strip()]
    return list(dict.fromkeys(Path(line.split()[0]).parent.name or line for line in lines))


def _sequence(frames: Path, annotations: Path, year: int) -> FolderSequence:
    images = list_images(frames)
    if not images:
        raise DatasetError(f"{frames}: expected the frames of a sequence, found no image; add them, or take the "
                           "sequence off the list in ImageSets")
    truth = by_frame_name(list_images(annotations))
    first = images[0].stem
    if first not in truth:
        raise DatasetError(f"{annotations / first}.png: expected the annotation of the first frame, "
                           f"found {len(truth)} others; add the mask of that frame (eval_youtube.py takes masks at any "
                           "frame)")
    binary = year == 2016
    read_given_mask(truth[first], binary, first=True)       # refused before anything is computed
    return FolderSequence(frames.name, images, {first: truth[first]}, binary, truth)


def _resolution_folder(parent: Path, resolution: str) -> Path:
    folder = parent / resolution
    if not folder.is_dir():
        raise DatasetError(f"{folder}: expected the {parent.name} of DAVIS at resolution {resolution}, found "
                           f"{_listing(parent, '*') or 'nothing'} in {parent}; check the root and --resolution, or use "
                           "eval_youtube.py if it holds the folders of videos")
    return folder


def _find_split_list(root: Path, year: int, split: str, resolution: str) -> Path:
    """`ImageSets/<year>/<split>.txt`, or `ImageSets/<resolution>/<split>.txt` of the archive of 2016."""
    sets = root / "ImageSets"
    candidates = [sets / str(year) / f"{split}.txt"]
    if year == 2016:
        candidates.append(sets / resolution / f"{split}.txt")
    for path in candidates:
        if path.is_file():
            return path
    raise DatasetError(f"{candidates[0]}: expected the list of split {split}, found "
                       f"{_listing(sets, '*/*.txt') or 'no list'} in {sets}; check the year and the split")


def _read_split_list(path: Path) -> list[str]:
    if not (names := names_in(path)):
        raise DatasetError(f"{path}: expected the names of sequences, one per line, found none; write the names of the "
                           "folders of frames there")
    return names


def _chosen(listed: list[str], names: Sequence[str] | None, split_list: Path) -> list[str]:
    if names is None:
        return listed
    for name in names:
        if name not in listed:
            nearest = difflib.get_close_matches(name, listed, n=1, cutoff=0)[0]
            raise DatasetError(f"{split_list}: expected to find sequence {name}, found no such name; "
                               f"did you mean {nearest}?")
    return [name for name in listed if name in names]


def _listing(folder: Path, pattern: str) -> str:
    """The paths that match, relative to the folder, in one line; empty if there are none."""
    found = [str(path.relative_to(folder)) for path in sorted(folder.glob(pattern))]
    return ", ".join(found[:8] + ["..."] * (len(found) > 8))
