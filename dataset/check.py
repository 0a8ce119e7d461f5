"""The data doctor: names the layout of a data set, counts it, and finds what would trip training or evaluation.

A layout is recognised by its folders and listed as videos of frames and masks; then every file is read. What is
found is judged by what the readers of this package make of such a file.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.folder import list_images, natural_order
from dataset.masks import VOID
from dataset.static import match_folder_names, match_folders, match_pairs

LAYOUTS = ("davis", "youtube", "pairs", "folders", "frames")
SEVERITIES = ("error", "warning", "note")
_ASPECT = 0.01          # masks whose aspect ratio is this close to their frame's were rounded, not mixed up
_HIGH = 64              # objects are numbered from 1: a single-channel mask with greys above this was drawn smooth
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)    # what Pillow raises

Pair = tuple[Path | None, Path | None]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as a reader expects it; an error stops a reader or spoils what it reads."""

    severity: Literal["error", "warning", "note"]
    kind: str           # findings of a kind are reported together
    file: str
    expected: str
    found: str
    remedy: str

    @property
    def message(self) -> str:
        return f"{self.file}: expected {self.expected}, found {self.found}; {self.remedy}"


@dataclass(frozen=True)
class Video:
    """Frames and masks that belong together: a video, or all of a static set.

    `labels` is what its masks hold: one object (DAVIS 2016), object numbers, or one object of a still image.
    """

    name: str
    labels: Literal["binary", "objects", "static"]
    pairs: list[Pair]           # (frame, mask) of one name; either may be missing


@dataclass
class Report:
    """A data set's layout in words, what it holds (thing -> number), and findings, worst first."""

    title: str
    counts: dict[str, int]
    findings: list[Finding]


@dataclass(frozen=True)
class _Seen:
    """What reading one pair showed."""

    size: tuple[int, int] | None        # (width, height) of the frame
    values: tuple[int, ...] | None      # of the mask, above 0
    findings: list[Finding]


def check(
    root: Path | str, layout: str | None = None, year: int | None = None, workers: int | None = None,
    fast: bool = False, progress: bool = False,
) -> Report:
    """Check the data set at `root`.

    Args:
        layout: one of LAYOUTS; None recognises it. year: of DAVIS; None: 2017 if there are lists of 2017.
        workers: threads. fast: read headers only, which finds neither truncated files nor wrong labels.

    Raises DatasetError if there is no such folder, or none of the layouts is found in it.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: expected the folder of a data set, found no such folder; check the path")
    layout = layout or _recognise(root)
    if year and layout != "davis":
        raise DatasetError(f"{root}: expected a DAVIS layout for --year {year}, found layout {layout}; leave it out")
    findings: list[Finding] = []
    title, videos = _list(root, layout, year, findings)
    jobs = [(video, *pair) for video in videos for pair in video.pairs]
    if not jobs and not findings:
        raise DatasetError(f"{root}: expected images in layout {layout}, found none; check the path and --layout")
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda job: _inspect(*job, fast), jobs)
        seen = iter(list(tqdm(results, root.absolute().name, len(jobs), unit="file", disable=not progress)))
    by_video = [(video, [next(seen) for _ in video.pairs]) for video in videos]
    for video, shown in by_video:
        findings += [finding for each in shown for finding in each.findings] + _across(video, shown)
    findings += _convention(root, by_video)
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.kind, finding.file))
    return Report(title, _count(by_video), findings)


# Layouts ------------------------------------------------------------------------------------------------------


def _recognise(root: Path) -> str:
    kinds = ("JPEGImages", "Annotations")
    resolutions = [root / kind / name for kind in kinds for name in ("480p", "1080p", "Full-Resolution")]
    if (root / "ImageSets").is_dir() or any(path.is_dir() for path in resolutions):
        return "davis"
    if any((root / kind).is_dir() for kind in kinds) or _splits(root):
        return "youtube"
    if any(mask for _, mask in match_pairs(root)):
        return "pairs"
    if match_folder_names(root):
        return "folders"
    if any(list_images(folder) for folder in (root, *_folders(root))):
        return "frames"
    raise DatasetError(f"{root}: expected one of the layouts {', '.join(LAYOUTS)} (docs/DATA.md), found "
                       f"{', '.join(path.name for path in _folders(root)[:8]) or 'nothing'} in it; check the path")


def _list(root: Path, layout: str, year: int | None, findings: list[Finding]) -> tuple[str, list[Video]]:
    """The layout in words and its videos; what is missing goes to `findings`."""
    if layout == "davis":
        return _davis(root, year, findings)
    if layout == "youtube":
        return _youtube(root, findings)
    if layout == "frames":
        videos = [_frames(folder) for folder in (root, *_folders(root))]
        return "folder of frames", [video for video in videos if video.pairs]
    if layout == "pairs":
        pairs = match_pairs(root)
        masks = [path for path in root.rglob("*.png") if not path.name.startswith(".")]
        return "still images, masks beside them", [_static(root.name, pairs, masks, findings)]
    found = match_folder_names(root)
    if not found:
        raise DatasetError(f"{root}: expected a folder of images and one of masks (DUTS-TR-Image, DUTS-TR-Mask), "
                           "found none; check --layout")
    title = "still images and masks in folders: " + ", ".join(f"{a.name} + {b.name}" for a, b in found)
    return title, [_static(a.name, match_folders(a, b), list_images(b), findings) for a, b in found]


def _davis(root: Path, year: int | None, findings: list[Finding]) -> tuple[str, list[Video]]:
    lists = {2016: _split_lists(root, "2016", "480p", "1080p"), 2017: _split_lists(root, "2017")}
    year = year or (2016 if lists[2016] and not lists[2017] else 2017)
    resolutions = sorted({path.name for kind in ("JPEGImages", "Annotations") for path in _folders(root / kind)})
    present = {path.name for resolution in resolutions for path in _folders(root / "JPEGImages" / resolution)}
    if not lists[year]:
        findings.append(Finding("error", "missing list", str(root / "ImageSets" / str(year)),
                                f"the lists of DAVIS {year}", "none", "unpack the archive again, or check --year"))
    listed = {name for names in lists[year].values() for name in names} or present
    for resolution in resolutions or ["480p"]:
        for folder in (root / kind / resolution for kind in ("JPEGImages", "Annotations")):
            if not folder.is_dir():
                findings.append(_missing(folder, f"the {folder.parent.name} of DAVIS"))
    for name in sorted(present - {name for names in (*lists[2016].values(), *lists[2017].values()) for name in names}):
        findings.append(Finding("note", "unlisted sequence", str(root / "JPEGImages" / "*" / name),
                                "its name in a list of ImageSets", "none", "it is never read"))
    videos = []
    for folders in ([root / kind / resolution for kind in ("JPEGImages", "Annotations")] for resolution in resolutions):
        if all(folder.is_dir() for folder in folders):
            videos += [_video(*(folder / name for folder in folders), "binary" if year == 2016 else "objects",
                              findings, dense=True) for name in sorted(listed)]
    splits = ", ".join(f"{split} {len(names)}" for split, names in lists[year].items())
    return f"DAVIS {year}, {', '.join(resolutions) or 'no frames'} ({splits or 'no lists'})", videos


def _split_lists(root: Path, *folders: str) -> dict[str, list[str]]:
    """Split -> names; a line is a name or, in the archive of 2016, a frame's path and its annotation's."""
    lists = {}
    for path in (path for folder in folders for path in sorted((root / "ImageSets" / folder).glob("*.txt"))):
        words = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
        lists.setdefault(path.stem, list(dict.fromkeys(Path(word).parent.name or word for word in words)))
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
            videos += [_video(*(folder / name for folder in folders), "objects", findings) for name in names]
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
    """The pairs of one video. `dense`: every frame has a mask, or, where labels are kept back, the first alone."""
    images, truth = ({path.stem: path for path in list_images(folder)} if folder.is_dir() else {}
                     for folder in (frames, masks))
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
                                    "the mask of the first frame", "none", "unpack the archive again"))
        elif 1 < len(truth) < len(images):
            findings.append(Finding("warning", "frames without mask", str(masks), f"{len(images)} masks",
                                    str(len(truth)), "unpack the archive again"))
    names = [path.stem for path in natural_order([*({**truth, **images}).values()])]
    return Video(frames.name, labels, [(images.get(name), truth.get(name)) for name in names])


def _frames(folder: Path) -> Video:
    return Video(folder.name, "objects", [(path, None) for path in list_images(folder)])


def _static(name: str, pairs: list[Pair], masks: Iterable[Path], findings: list[Finding]) -> Video:
    findings += [Finding("error", "image without mask", str(image), "a mask of its name", "none",
                         "add it or remove the image") for image, mask in pairs if mask is None]
    alone = sorted(set(masks) - {mask for _, mask in pairs})
    findings += [Finding("warning", "mask without frame", str(mask), "an image of its name", "none",
                         "restore the image or remove the mask") for mask in alone]
    return Video(name, "static", pairs + [(None, mask) for mask in alone])


def _splits(root: Path) -> list[Path]:
    return [path for path in _folders(root) if (path / "JPEGImages").is_dir() or (path / "meta.json").is_file()]


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def _missing(folder: Path, what: str, severity: Literal["error", "note"] = "error") -> Finding:
    found = "a folder without images" if folder.is_dir() else "no such folder"
    return Finding(severity, "missing folder", str(folder), what, found, "unpack the archive again, or check --layout")


# Files --------------------------------------------------------------------------------------------------------


def _inspect(video: Video, frame: Path | None, mask: Path | None, fast: bool) -> _Seen:
    size, values, findings = None, None, []
    try:
        if frame:
            size = _frame_size(frame, fast)
    except _UNREADABLE as error:
        findings.append(_unreadable(frame, error))
    try:
        if mask:
            values = _check_mask(mask, frame, size, video.labels, fast, findings)
    except _UNREADABLE as error:
        findings.append(_unreadable(mask, error))
    return _Seen(size, values, findings)


def _frame_size(path: Path, fast: bool) -> tuple[int, int]:
    with Image.open(path) as image:
        size = image.size
        if not fast:
            image.draft("RGB", (1, 1))      # a JPEG is read to its end all the same, in half the time
            image.load()
        return size


def _check_mask(
    path: Path, frame: Path | None, size: tuple[int, int] | None, labels: str, fast: bool, findings: list[Finding]
) -> tuple[int, ...] | None:
    """Judge one mask; returns its values above 0, or None where they say nothing."""
    def report(severity: str, kind: str, expected: str, found: str, remedy: str) -> None:
        findings.append(Finding(severity, kind, str(path), expected, found, remedy))

    with Image.open(path) as image:
        if size and image.size != size:
            aspect = image.width * size[1] / (image.height * size[0])
            report("warning" if abs(aspect - 1) <= _ASPECT else "error", "mask of another size",
                   f"the size of its frame {frame.name}, {_text(size)}", _text(image.size),
                   "resize it to its frame by nearest neighbour, or restore the pair")
        coloured = image.mode in ("RGB", "RGBA")
        if image.mode not in ("P", "L", "1") and not (coloured and labels == "static"):
            report("error", "RGB mask" if coloured else "mask of another mode", "an indexed or 8-bit grey PNG",
                   f"mode {image.mode}", "save it as an indexed PNG of object numbers")
            return None
        if fast:
            return None
        pixels = np.asarray(image.convert("L") if image.mode == "1" else image)
    if coloured:
        grey = bool((pixels[..., :3] == pixels[..., :1]).all())
        report("note" if grey else "error", "RGB mask", "an 8-bit grey PNG", f"mode {image.mode}",
               "it is read all the same" if grey else "its channels differ: see whether it is a mask at all")
        pixels = pixels[..., :3].max(2)
    counts = np.bincount(pixels.ravel(), minlength=256)
    _check_values(counts, labels, report)
    return tuple((counts[1:].nonzero()[0] + 1).tolist())


def _check_values(counts: np.ndarray, labels: str, report: Callable[..., None]) -> None:
    """Judge what a mask holds by its histogram `counts` [256]."""
    values = counts[1:].nonzero()[0] + 1
    if not len(values):
        report(*(("error", "empty mask", "one object", "only 0", "remove the pair") if labels == "static" else
                 ("warning", "empty mask", "an object", "only 0", "right if all objects are hidden here")))
    elif _is_smooth(counts):
        severity, remedy = {
            "static": ("note", "it is cut at half of its maximum"),
            "binary": ("warning", "every value above 0 counts as object; cut it at 128"),
            "objects": ("error", "every grey would be an object; export it without smoothing"),
        }[labels]
        report(severity, "anti-aliased mask", "a value per object", f"{len(values) + 1} greys", remedy)
    elif labels == "objects" and values.tolist() == [VOID]:
        report("error", "0/255 mask", "object numbers 1, 2, ... as in DAVIS 2017", "only 0 and 255",
               "these look like the masks of DAVIS 2016: check them with --year 2016, or replace 255 by 1")
    elif labels == "binary" and values.tolist() not in ([1], [VOID]):
        report("warning", "object numbers in a mask of 2016", "one object, 0/255",
               f"labels {', '.join(map(str, values[:8]))}",
               "these look like the masks of DAVIS 2017, which are read as one object but differ from those of 2016")


def _is_smooth(counts: np.ndarray) -> bool:
    """Whether values are greys, not numbers: high ones, several, and all but the two commonest rare."""
    greys = counts.nonzero()[0]
    if len(greys) < 4 or not ((greys > _HIGH) & (greys < VOID)).any():
        return False
    return np.sort(counts)[:-2].sum() < counts.sum() / 4


# Videos and the whole set -------------------------------------------------------------------------------------


def _across(video: Video, shown: list[_Seen]) -> list[Finding]:
    """Judge what only shows when all of a video has been read."""
    if video.labels == "static":
        return []
    findings = []
    sizes = [(frame, each.size) for (frame, _), each in zip(video.pairs, shown, strict=True) if each.size]
    for frame, size in sizes:
        if size != sizes[0][1]:
            findings.append(Finding("error", "frame of another size", str(frame),
                                    f"{_text(sizes[0][1])} like {sizes[0][0].name}", _text(size),
                                    "give all frames of a video one size"))
    values = [each.values for each in shown if each.values is not None]
    if values and not any(values):
        mask = next(mask for _, mask in video.pairs if mask)
        findings.append(Finding("error", "video without object", str(mask.parent), "an object in one of its masks",
                                "only empty masks", "restore the masks or leave the video out"))
    return findings


def _convention(root: Path, by_video: list[tuple[Video, list[_Seen]]]) -> list[Finding]:
    """The note that says in which way the masks of DAVIS 2016 are binary."""
    binary = [each.values for video, shown in by_video if video.labels == "binary" for each in shown if each.values]
    count = binary.count((VOID,))
    return [Finding("note", "0/255 mask", str(root / "Annotations"), "one object per mask",
                    f"values 0 and 255 in {count} of {len(binary)} masks with an object",
                    "this is the convention of DAVIS 2016, and recognised")] if count else []


def _count(by_video: list[tuple[Video, list[_Seen]]]) -> dict[str, int]:
    objects = [{value for each in shown for value in each.values or ()} - {VOID}
               for video, shown in by_video if video.labels == "objects"]
    counts = Counter()
    for video, _ in by_video:
        still = video.labels == "static"
        counts["videos"] += not still
        counts["images" if still else "frames"] += sum(frame is not None for frame, _ in video.pairs)
        counts["masks"] += sum(mask is not None for _, mask in video.pairs)
    counts["objects"] = sum(map(len, objects))
    return {thing: number for thing, number in counts.items() if number}


def _unreadable(path: Path, error: Exception) -> Finding:
    found = " ".join(str(error).split())
    return Finding("error", "unreadable file", str(path), "an image that decodes to its end", found,
                   "restore it from the original archive")


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
