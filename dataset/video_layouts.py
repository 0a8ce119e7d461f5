"""Lists the videos of DAVIS and YouTube-VOS for the data doctor; what is missing becomes a finding."""

import json
from pathlib import Path

from dataset.davis import names_in
from dataset.findings import Finding
from dataset.listed_videos import Video, frames_of, missing_folder, subfolders, video_of


def list_davis(root: Path, year: int | None, findings: list[Finding]) -> tuple[str, list[Video]]:
    """DAVIS in words and its videos. `year` None: 2017 if there are lists of 2017."""
    lists = {2016: _split_lists(root, "2016", "480p", "1080p"), 2017: _split_lists(root, "2017")}
    year = year or (2016 if lists[2016] and not lists[2017] else 2017)
    resolutions = sorted({path.name for kind in ("JPEGImages", "Annotations") for path in subfolders(root / kind)})
    present = {path.name for resolution in resolutions for path in subfolders(root / "JPEGImages" / resolution)}
    if not lists[year]:
        findings.append(Finding("error", "missing list", str(root / "ImageSets" / str(year)),
                                f"the lists of DAVIS {year}", "none", "add the list, or check --year"))
    listed = {name for names in lists[year].values() for name in names} or present
    for resolution in resolutions or ["480p"]:
        for folder in (root / kind / resolution for kind in ("JPEGImages", "Annotations")):
            if not folder.is_dir():
                findings.append(missing_folder(folder, f"the {folder.parent.name} of DAVIS"))
    for name in sorted(present - {name for names in (*lists[2016].values(), *lists[2017].values()) for name in names}):
        findings.append(Finding("note", "unlisted sequence", str(root / "JPEGImages" / "*" / name),
                                "its name in a list of ImageSets", "none", "add it, or ignore it: it is never read"))
    videos = []
    for frames, masks in ((root / "JPEGImages" / size, root / "Annotations" / size) for size in resolutions):
        if frames.is_dir() and masks.is_dir():
            videos += [video_of(frames / name, masks / name, "binary" if year == 2016 else "objects", findings, True)
                       for name in sorted(listed)]
    splits = ", ".join(f"{split} {len(names)}" for split, names in lists[year].items())
    return f"DAVIS {year}, {', '.join(resolutions) or 'no frames'} ({splits or 'no lists'})", videos


def _split_lists(root: Path, *folders: str) -> dict[str, list[str]]:
    """Split -> names of its videos; if two folders have a list of a split, the first folder counts."""
    lists: dict[str, list[str]] = {}
    for path in (path for folder in folders for path in sorted((root / "ImageSets" / folder).glob("*.txt"))):
        lists.setdefault(path.stem, names_in(path))
    return lists


def list_youtube(root: Path, findings: list[Finding]) -> tuple[str, list[Video]]:
    """YouTube-VOS, one split or all, in words and its videos."""
    splits = [root] if any((root / kind).is_dir() for kind in ("JPEGImages", "Annotations")) else splits_of(root)
    if not splits:
        findings.append(missing_folder(root / "JPEGImages", "a folder of videos"))
    videos, described = [], []
    for split in splits:
        folders = [split / "JPEGImages", split / "Annotations"]
        unlabeled = split.absolute().name.endswith("all_frames")        # distributed without annotations
        findings += [
            missing_folder(folder, "a folder of videos", "note" if unlabeled and folder == folders[1] else "error")
            for folder in folders if not folder.is_dir()
        ]
        names = sorted({path.name for folder in folders for path in subfolders(folder)})
        if not names:
            findings.append(missing_folder(folders[0] / "*", "a folder per video"))
        if all(folder.is_dir() for folder in folders):
            videos += [video_of(folders[0] / name, folders[1] / name, "objects", findings) for name in names]
        elif folders[0].is_dir():
            videos += [frames_of(folders[0] / name) for name in names]
        meta = _check_meta(split / "meta.json", set(names), findings)
        described.append(f"{split.absolute().name} {len(names)}{'' if meta else ', no meta.json'}")
    return f"YouTube-VOS ({'; '.join(described)})", videos


def _check_meta(path: Path, names: set[str], findings: list[Finding]) -> bool:
    """Whether there is a meta.json; videos that only it or only the folders have go to `findings`."""
    if not path.is_file():
        return False
    try:
        listed = set(json.loads(path.read_text())["videos"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        findings.append(Finding("error", "unreadable file", str(path), 'JSON with "videos"', repr(error),
                                "restore it from the archive"))
        return True
    for name in sorted(listed - names):
        findings.append(missing_folder(path.parent / "JPEGImages" / name, "a video of meta.json"))
    for name in sorted(names - listed):
        findings.append(Finding("warning", "video not in meta.json", str(path.parent / "JPEGImages" / name),
                                "its entry in meta.json", "none", "restore meta.json or remove the video"))
    return True


def splits_of(root: Path) -> list[Path]:
    """The folders of `root` that are splits of YouTube-VOS."""
    return [path for path in subfolders(root) if (path / "JPEGImages").is_dir() or (path / "meta.json").is_file()]
