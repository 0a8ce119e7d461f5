"""The data doctor: names the layout of a data set, counts it, and finds what would trip training or evaluation.

`dataset/layouts.py` recognises a layout and lists it as videos of frames and masks; here every file is read. What is
found is judged by what the readers of this package make of such a file.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.layouts import Finding, Severity, Video, list_videos, recognise
from dataset.masks import ASPECT_TOLERANCE, VOID

SEVERITIES = ("error", "warning", "note")
_HIGH = 64              # objects are numbered from 1: a single-channel mask with greys above this was drawn smooth
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)    # what Pillow raises


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
    layout = layout or recognise(root)
    if year and layout != "davis":
        raise DatasetError(f"{root}: expected a DAVIS layout for --year {year}, found layout {layout}; leave it out")
    findings: list[Finding] = []
    title, videos = list_videos(root, layout, year, findings)
    jobs = [(video, frame, mask, fast) for video in videos for frame, mask in video.pairs]
    if not jobs and not findings:
        raise DatasetError(f"{root}: expected images in layout {layout}, found none; check the path and --layout")
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda job: _inspect(*job), jobs)
        seen = iter(list(tqdm(results, root.absolute().name, len(jobs), unit="file", disable=not progress)))
    by_video = [(video, [next(seen) for _ in video.pairs]) for video in videos]
    for video, shown in by_video:
        findings += [finding for each in shown for finding in each.findings] + _across(video, shown)
    findings += _convention(root, by_video)
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.kind, finding.file))
    return Report(title, _count(by_video), findings)


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
    def report(severity: Severity, kind: str, expected: str, found: str, remedy: str) -> None:
        findings.append(Finding(severity, kind, str(path), expected, found, remedy))

    with Image.open(path) as image:
        if size and image.size != size:
            aspect = image.width * size[1] / (image.height * size[0])
            report("warning" if abs(aspect - 1) <= ASPECT_TOLERANCE else "error", "mask of another size",
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
    counts: Counter[str] = Counter()
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
