"""Recognizes the layout of a data set by its folders and lists what it holds as videos of frames and masks.

What is missing on the way (a folder, a list, a mask's frame) becomes a finding; no image is opened here.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dataset.davis import DAVIS_RESOLUTIONS, names_in
from dataset.errors import DatasetError
from dataset.findings import Finding, finding_of
from dataset.image_files import list_files_below, list_images, name_problem, natural_order
from dataset.static import match_folder_names, match_folders, match_pairs

LAYOUTS = ("davis", "youtube", "pairs", "folders", "frames")

Pair = tuple[Path | None, Path | None]              # (frame, mask) of one name; either may be missing
MaskRole = Literal["first", "given", "scored", "unread"]


@dataclass(frozen=True)
class Video:
    """Frames and masks that belong together: a video, or a whole set of still images.

    Attributes:
        labels: what its masks hold: one object (DAVIS 2016), object numbers, or one object of a still image.
        pairs: in natural order.
        first_only: evaluation gives the first frame's mask and scores against the others (DAVIS); otherwise it gives
            every mask (YouTube-VOS).
    """

    name: str
    labels: Literal["binary", "objects", "static"]
    pairs: list[Pair]
    first_only: bool = False

    def roles(self) -> list[MaskRole]:
        """What evaluation does with the mask of each pair.

        It gives a "first" mask, which must show an object, and a "given" one; it scores against a "scored" one. Only
        training reads an "unread" one.
        """
        if not self.first_only:
            return ["given"] * len(self.pairs)
        frames = [index for index, (frame, _) in enumerate(self.pairs) if frame]
        complete = all(self.pairs[index][1] for index in frames)
        return ["first" if index in frames[:1] else "scored" if complete and index in frames[1:-1] else "unread"
                for index in range(len(self.pairs))]


def recognize(root: Path) -> str:
    """The layout of `root`, one of LAYOUTS; raises DatasetError if it is none of them."""
    kinds = ("JPEGImages", "Annotations")
    resolutions = [root / kind / name for kind in kinds for name in DAVIS_RESOLUTIONS]
    if (root / "ImageSets").is_dir() or any(path.is_dir() for path in resolutions):
        return "davis"
    if any((root / kind).is_dir() for kind in kinds):
        return "youtube"
    if sets := _data_sets_in(root):
        raise DatasetError(f"{root}: expected one data set, found {len(sets)} in it: {', '.join(sets)}; give one of "
                           "them")
    if _splits(root):
        return "youtube"
    if any(mask for _, mask in match_pairs(root)):
        return "pairs"
    if match_folder_names(root):
        return "folders"
    if any(list_images(folder) for folder in (root, *_folders(root))):
        return "frames"
    raise DatasetError(f"{root}: expected one of the layouts {', '.join(LAYOUTS)} (docs/DATA.md), found "
                       f"{', '.join(path.name for path in _folders(root)[:8]) or 'nothing'} in it; check the path")


def _data_sets_in(root: Path) -> list[str]:
    """The folders of `root`, with their layouts, where they are data sets of their own: more than the splits of one
    YouTube-VOS, or the class folders of one FSS-1000."""
    found = {}
    for folder in _folders(root):
        if any((folder / name).is_dir() for name in ("JPEGImages", "Annotations", "ImageSets")):
            resolutions = [folder / "JPEGImages" / name for name in DAVIS_RESOLUTIONS]
            davis = (folder / "ImageSets").is_dir() or any(path.is_dir() for path in resolutions)
            found[folder] = "davis" if davis else "split"
        elif _splits(folder):
            found[folder] = "youtube"
        elif match_folder_names(folder):
            found[folder] = "folders"
    if not set(found.values()) - {"split"}:
        return []
    found |= {folder: "pairs" for folder in _folders(root) if folder not in found and match_pairs(folder)}
    return [f"{folder.name} ({found[folder].replace('split', 'youtube')})" for folder in sorted(found)]


def list_videos(root: Path, layout: str, year: int | None, findings: list[Finding]) -> tuple[str, list[Video]]:
    """The layout in words and its videos; what is missing goes to `findings`.

    Args:
        layout: one of LAYOUTS. year: of DAVIS; None: 2017 if there are lists of 2017.

    Raises DatasetError where layout "folders" has no folder of images with one of masks.
    """
    if layout == "davis":
        return _davis(root, year, findings)
    if layout == "youtube":
        return _youtube(root, findings)
    if layout == "frames":
        videos = [_frames(folder) for folder in (root, *_folders(root))]
        return "folder of frames", [video for video in videos if video.pairs]
    if layout == "pairs":
        pairs = match_pairs(root)
        masks = list_files_below(root, (".png",))
        return "still images, masks beside them", [_static(root.name, pairs, masks, findings)]
    found = match_folder_names(root)
    if not found:
        raise DatasetError(f"{root}: expected a folder of images and one of masks (DUTS-TR-Image, DUTS-TR-Mask), "
                           "found none; check --layout")
    title = "still images and masks in folders: " + ", ".join(f"{a.name} + {b.name}" for a, b in found)
    for _, folder in found:
        _by_name(list_images(folder), findings)
    return title, [_static(a.name, match_folders(a, b), list_images(b), findings) for a, b in found]


def _davis(root: Path, year: int | None, findings: list[Finding]) -> tuple[str, list[Video]]:
    lists = {2016: _split_lists(root, "2016", "480p", "1080p"), 2017: _split_lists(root, "2017")}
    year = year or (2016 if lists[2016] and not lists[2017] else 2017)
    resolutions = sorted({path.name for kind in ("JPEGImages", "Annotations") for path in _folders(root / kind)})
    present = {path.name for resolution in resolutions for path in _folders(root / "JPEGImages" / resolution)}
    if not lists[year]:
        findings.append(Finding("error", "missing list", str(root / "ImageSets" / str(year)),
                                f"the lists of DAVIS {year}", "none", "add the list, or check --year"))
    listed = {name for names in lists[year].values() for name in names} or present
    for resolution in resolutions or ["480p"]:
        for folder in (root / kind / resolution for kind in ("JPEGImages", "Annotations")):
            if not folder.is_dir():
                findings.append(_missing(folder, f"the {folder.parent.name} of DAVIS"))
    for name in sorted(present - {name for names in (*lists[2016].values(), *lists[2017].values()) for name in names}):
        findings.append(Finding("note", "unlisted sequence", str(root / "JPEGImages" / "*" / name),
                                "its name in a list of ImageSets", "none", "it is never read"))
    videos = []
    for frames, masks in ((root / "JPEGImages" / size, root / "Annotations" / size) for size in resolutions):
        if frames.is_dir() and masks.is_dir():
            videos += [_video(frames / name, masks / name, "binary" if year == 2016 else "objects", findings, True)
                       for name in sorted(listed)]
    splits = ", ".join(f"{split} {len(names)}" for split, names in lists[year].items())
    return f"DAVIS {year}, {', '.join(resolutions) or 'no frames'} ({splits or 'no lists'})", videos


def _split_lists(root: Path, *folders: str) -> dict[str, list[str]]:
    """Split -> names; where two folders have a list of the split, the first one's."""
    lists: dict[str, list[str]] = {}
    for path in (path for folder in folders for path in sorted((root / "ImageSets" / folder).glob("*.txt"))):
        lists.setdefault(path.stem, names_in(path))
    return lists


def _youtube(root: Path, findings: list[Finding]) -> tuple[str, list[Video]]:
    splits = [root] if any((root / kind).is_dir() for kind in ("JPEGImages", "Annotations")) else _splits(root)
    if not splits:
        findings.append(_missing(root / "JPEGImages", "a folder of videos"))
    videos, described = [], []
    for split in splits:
        folders = [split / "JPEGImages", split / "Annotations"]
        whole = split.absolute().name.endswith("all_frames")        # comes without annotations
        findings += [_missing(folder, "a folder of videos", "note" if whole and folder == folders[1] else "error")
                     for folder in folders if not folder.is_dir()]
        names = sorted({path.name for folder in folders for path in _folders(folder)})
        if not names:
            findings.append(_missing(folders[0] / "*", "a folder per video"))
        if all(folder.is_dir() for folder in folders):
            videos += [_video(folders[0] / name, folders[1] / name, "objects", findings) for name in names]
        elif folders[0].is_dir():
            videos += [_frames(folders[0] / name) for name in names]
        meta = _check_meta(split / "meta.json", set(names), findings)
        described.append(f"{split.absolute().name} {len(names)}{'' if meta else ', no meta.json'}")
    return f"YouTube-VOS ({'; '.join(described)})", videos


def _check_meta(path: Path, names: set[str], findings: list[Finding]) -> bool:
    """Whether there is a meta.json; compares its videos with the folders'."""
    if not path.is_file():
        return False
    try:
        listed = set(json.loads(path.read_text())["videos"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        findings.append(Finding("error", "unreadable file", str(path), 'JSON with "videos"', repr(error),
                                "restore it from the archive"))
        return True
    for name in sorted(listed - names):
        findings.append(_missing(path.parent / "JPEGImages" / name, "a video of meta.json"))
    for name in sorted(names - listed):
        findings.append(Finding("warning", "video not in meta.json", str(path.parent / "JPEGImages" / name),
                                "its entry in meta.json", "none", "restore meta.json or remove the video"))
    return True


def _video(
    frames: Path, masks: Path, labels: Literal["binary", "objects"], findings: list[Finding], dense: bool = False
) -> Video:
    """The pairs of one video. `dense`: every frame has a mask, or only the first (labels that are kept back)."""
    images, truth = (_by_name(list_images(folder) if folder.is_dir() else [], findings) for folder in (frames, masks))
    findings += [_missing(folder, what) for folder, found, what in
                 ((frames, images, "the frames of a video"), (masks, truth, "the masks of a video")) if not found]
    if images:
        findings += [Finding("error", "mask without frame", str(path), f"a frame {name} in {frames}", "none",
                             "restore the frame or remove the mask") for name, path in truth.items()
                     if name not in images]
    if dense and images and truth:
        first = next(iter(images))
        if first not in truth:
            findings.append(Finding("error", "first frame without mask", str(masks / first) + ".png",
                                    "the mask of the first frame", "none", "add it, or restore the data set"))
        elif 1 < len(truth) < len(images):
            findings.append(Finding("warning", "frames without mask", str(masks), f"{len(images)} masks",
                                    str(len(truth)), "right if the others are kept back; otherwise restore them"))
    names = [path.stem for path in natural_order([*({**truth, **images}).values()])]
    return Video(frames.name, labels, [(images.get(name), truth.get(name)) for name in names], first_only=dense)


def _by_name(paths: list[Path], findings: list[Finding]) -> dict[str, Path]:
    """Frame name -> the first file of that name; further ones are findings."""
    files: dict[str, Path] = {}
    for path in paths:
        if problem := name_problem(path, files.setdefault(path.stem, path)):
            findings.append(finding_of("error", path, problem))
    return files


def _frames(folder: Path) -> Video:
    return Video(folder.name, "objects", [(path, None) for path in list_images(folder)])


def _static(name: str, pairs: Sequence[Pair], masks: Iterable[Path], findings: list[Finding]) -> Video:
    findings += [Finding("error", "image without mask", str(image), "a mask of its name", "none",
                         "add it or remove the image") for image, mask in pairs if mask is None]
    paired = {mask for _, mask in pairs}
    alone = [mask for mask in masks if mask not in paired]
    findings += [Finding("warning", "mask without frame", str(mask), "an image of its name", "none",
                         "restore the image or remove the mask") for mask in alone]
    return Video(name, "static", [*pairs, *((None, mask) for mask in alone)])


def _splits(root: Path) -> list[Path]:
    return [path for path in _folders(root) if (path / "JPEGImages").is_dir() or (path / "meta.json").is_file()]


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _missing(folder: Path, what: str, severity: Literal["error", "note"] = "error") -> Finding:
    found = "a folder without images" if folder.is_dir() else "no such folder"
    return Finding(severity, "missing folder", str(folder), what, found, "restore it, or check --layout")
