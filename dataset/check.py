"""The data doctor: names the layout of a data set, counts what it holds, and finds what readers would refuse.

`dataset/layouts.py` recognizes a layout and lists it as videos of frames and masks; here every file is read. What
evaluation refuses is an error (`dataset/label_maps.py` judges masks for both).
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from dataset.check_masks import Values, check_mask
from dataset.errors import DatasetError, Problem
from dataset.findings import SEVERITIES, Finding, finding_of
from dataset.folder import frame_size_problem
from dataset.image_files import UNREADABLE, unreadable_problem
from dataset.layouts import list_videos, recognize
from dataset.listed_videos import MaskRole, Pair, Video
from dataset.masks import VOID


@dataclass
class Report:
    """The layout of a data set in words, what it holds (thing -> number), and the findings, worst first."""

    title: str
    counts: dict[str, int]
    findings: list[Finding]


@dataclass(frozen=True)
class _Seen:
    """What was read of one pair."""

    frame_size: tuple[int, int] | None      # (height, width)
    values: Values                          # of the mask, above 0
    findings: list[Finding]


def check(
    root: Path | str, layout: str | None = None, year: int | None = None, workers: int | None = None,
    fast: bool = False, progress: bool = False,
) -> Report:
    """Check the data set at `root`.

    Args:
        layout: one of LAYOUTS; None: recognize it. year: of DAVIS; None: 2017 if there are lists of 2017.
        workers: number of threads. fast: read headers only; this finds neither truncated files nor wrong labels.

    Raises DatasetError if there is no such folder, or none of the layouts is found in it.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise DatasetError(f"{root}: expected the folder of a data set, found no such folder; check the path")
    layout = layout or recognize(root)
    if year and layout != "davis":
        raise DatasetError(f"{root}: expected a DAVIS layout for --year {year}, found layout {layout}; remove --year")
    findings: list[Finding] = []
    title, videos = list_videos(root, layout, year, findings)
    jobs = [(video, *job, fast) for video in videos for job in zip(video.pairs, video.roles(), strict=True)]
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


def _inspect(video: Video, pair: Pair, role: MaskRole, fast: bool) -> _Seen:
    frame, mask = pair
    size: tuple[int, int] | None = None
    values: Values = None
    findings: list[Finding] = []
    if frame:
        try:
            size = _frame_size(frame, fast)
        except UNREADABLE as error:
            findings.append(finding_of("error", frame, unreadable_problem(error)))
    if mask:
        try:
            values, found = check_mask(mask, frame, size, video.labels, role, fast)
            findings += found
        except UNREADABLE as error:
            findings.append(finding_of("error", mask, unreadable_problem(error)))
    return _Seen(size, values, findings)


def _frame_size(path: Path, fast: bool) -> tuple[int, int]:
    """(height, width) of a frame, which is decoded to its end unless `fast`."""
    with Image.open(path) as image:
        size = image.height, image.width
        if not fast:
            image.draft("RGB", (1, 1))      # decodes a JPEG to its end all the same, in half the time
            image.load()
        return size


def _across(video: Video, shown: list[_Seen]) -> list[Finding]:
    """Judge what can only be judged when all of a video has been read."""
    if video.still:
        return []
    findings = []
    sizes = [(frame, each.frame_size) for (frame, _), each in zip(video.pairs, shown, strict=True)
             if frame and each.frame_size]
    for frame, size in sizes:
        first, expected = sizes[0]
        if problem := frame_size_problem(size, expected, first.name):
            findings.append(finding_of("error", frame, problem))
    values = [each.values for each in shown if each.values is not None]
    if values and not any(values):
        folder = next(mask.parent for _, mask in video.pairs if mask)
        findings.append(finding_of("error" if video.first_only else "warning", folder, Problem(
            "video without object", "an object in one of its masks", "only empty masks",
            "restore the masks or leave the video out")))
    return findings


def _convention(root: Path, by_video: list[tuple[Video, list[_Seen]]]) -> list[Finding]:
    """A note on the values of the masks of DAVIS 2016, if they are 0 and 255."""
    binary = [each.values for video, shown in by_video if video.labels == "binary" for each in shown if each.values]
    count = binary.count((VOID,))
    if not count:
        return []
    return [finding_of("note", root / "Annotations", Problem(
        "0/255 mask", "one object per mask", f"values 0 and 255 in {count} of {len(binary)} masks with an object",
        "this is the convention of DAVIS 2016; it is recognized"))]


def _count(by_video: list[tuple[Video, list[_Seen]]]) -> dict[str, int]:
    objects = [{value for each in shown for value in each.values or ()} - {VOID}
               for video, shown in by_video if video.labels == "objects"]
    counts: Counter[str] = Counter()
    for video, _ in by_video:
        counts["videos"] += not video.still
        counts["images" if video.still else "frames"] += sum(frame is not None for frame, _ in video.pairs)
        counts["masks"] += sum(mask is not None for _, mask in video.pairs)
    counts["objects"] = sum(map(len, objects))
    return {thing: number for thing, number in counts.items() if number}
