"""Lists the videos of LVOS, MOSE, VOST and Long-time Video for the data doctor; what is missing becomes a finding."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset.benchmarks import (
    SPLITS,
    TITLES,
    UNSEEN,
    FrameRange,
    frame_range,
    meta_file,
    read_unseen,
    split_folder,
    videos_and_objects,
)
from dataset.davis import DAVIS_RESOLUTIONS
from dataset.errors import DatasetError
from dataset.findings import Finding
from dataset.listed_videos import Video, missing_folder, subfolders, video_of

_FIRST_MASK_ONLY = ("vost", "longvideo")      # evaluation gives nothing but the first mask


def recognize_benchmark(root: Path) -> str | None:
    """"lvos" or "vost" if `root` has their lists; MOSE and Long-time Video look like YouTube-VOS."""
    resolutions = any((root / "JPEGImages" / name).is_dir() for name in DAVIS_RESOLUTIONS)
    if any((root / "ImageSets").glob("*.txt")) and (root / "JPEGImages").is_dir() and not resolutions:
        return "vost"
    folders = (root, *(root / name for name in SPLITS["lvos"]))
    return "lvos" if any(any(folder.glob("*_meta.json")) and folder.is_dir() and (folder / "JPEGImages").is_dir()
                         for folder in folders) else None


def list_benchmark(root: Path, benchmark: str, findings: list[Finding]) -> tuple[str, list[Video]]:
    """The benchmark in words and its videos."""
    folder = split_folder(root, benchmark)
    frames, masks = folder / "JPEGImages", folder / "Annotations"
    findings += [missing_folder(each, "a folder of videos") for each in (frames, masks) if not each.is_dir()]
    present = {path.name for path in (*subfolders(frames), *subfolders(masks))}
    try:
        listed: Mapping[str, Mapping[str, dict[str, Any]]] = videos_and_objects(root, folder, benchmark)
    except DatasetError as error:
        findings.append(_finding("error", "metadata", folder, "the list of videos", str(error), "restore it"))
        listed = {name: {} for name in sorted(present)}
    unseen = read_unseen(root) if benchmark == "lvos" else frozenset()
    if unseen is None:
        findings.append(_finding("note", "list of unseen videos", folder / UNSEEN, "the videos of unseen categories",
                                 "no such file", "copy it from the evaluation toolkit of LVOS, or all count as seen"))
    else:
        findings += [_finding("warning", "unknown video", folder / UNSEEN, "videos of the metadata", name, "correct it")
                     for name in sorted(unseen - listed.keys())]
    findings += [missing_folder(frames / name, "a video of the list") for name in sorted(listed.keys() - present)]
    findings += [_finding("note", "unlisted video", frames / name, "its name in the list", "none",
                          "ignore it: it is never read") for name in sorted(present - listed.keys())]
    videos = [_video(folder, benchmark, name, listed[name], findings) for name in sorted(listed.keys() & present)]
    metadata = benchmark in ("lvos", "mose") and meta_file(root, folder, benchmark) is None
    return f"{TITLES[benchmark]}, {folder.absolute().name}{', no metadata' if metadata else ''}", videos


def _video(
    folder: Path, benchmark: str, name: str, objects: Mapping[str, dict[str, Any]], findings: list[Finding]
) -> Video:
    video = video_of(folder / "JPEGImages" / name, folder / "Annotations" / name, "objects", findings)
    if benchmark == "lvos":
        for number, entry in objects.items():
            _check_range(video, folder / "Annotations" / name, number, entry, findings)
    elif benchmark in _FIRST_MASK_ONLY:
        video = replace(video, first_only=True, sparse=True)
        if video.pairs and video.pairs[0][0] and not video.pairs[0][1]:
            path = folder / "Annotations" / name / f"{video.pairs[0][0].stem}.png"
            findings.append(_finding("error", "first frame without mask", path, "the mask of the first frame", "none",
                                     "add it, or restore the data set"))
    return video


def _check_range(
    video: Video, masks: Path, number: str, entry: dict[str, Any], findings: list[Finding]
) -> None:
    """Find a range without its frames or with another count; if most frames have masks, without its masks too."""
    remedy = "restore the metadata, or the frames, from the archive"
    try:
        span: FrameRange = frame_range(entry)
    except (KeyError, TypeError, ValueError):
        findings.append(_finding("error", "frame range", masks, f"a frame_range of object {number} in the metadata",
                                 "none", remedy))
        return
    frames = {frame.stem: mask for frame, mask in video.pairs if frame}
    absent = [name for name in span.scored() if name not in frames]
    bare = [name for name in span.scored() if name in frames and frames[name] is None]
    public = 2 * sum(mask is not None for mask in frames.values()) > len(frames)
    for kind, names in (("frame of a range", absent), ("mask of a range", bare if public else [])):
        if names:
            findings.append(_finding("error", kind, masks / f"{names[0]}.png",
                                     f"all that object {number} is scored in", f"{len(names)} missing", remedy))
    if len(span.scored()) != max(span.count - 2, 0):
        findings.append(_finding("warning", "frame range", masks, f"{span.count} annotated frames of object {number}, "
                                 "as frame_nums says", f"{len(span.scored()) + 2}", remedy))


def _finding(severity: Any, kind: str, file: Path, expected: str, found: str, remedy: str) -> Finding:
    return Finding(severity, kind, str(file), expected, found, remedy)
