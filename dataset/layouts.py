"""Recognizes the layout of a data set by its folders and lists what it holds as videos of frames and masks.

What is missing (a folder, a list, the frame of a mask) becomes a finding; no image is opened here.
"""

from pathlib import Path

from dataset.benchmark_layouts import list_benchmark, recognize_benchmark
from dataset.benchmarks import TITLES
from dataset.davis import DAVIS_RESOLUTIONS
from dataset.errors import DatasetError
from dataset.findings import Finding
from dataset.image_files import list_files_below, list_images
from dataset.listed_videos import Labels, Video, first_by_name, frames_of, still_images, subfolders
from dataset.static import match_folder_names, match_folders, match_pairs
from dataset.video_layouts import list_davis, list_youtube, splits_of

LAYOUTS = ("davis", "youtube", "pairs", "folders", "instances", "frames", *TITLES)


def recognize(root: Path) -> str:
    """The layout of `root`, one of LAYOUTS; raises DatasetError if it is none of them."""
    kinds = ("JPEGImages", "Annotations")
    resolutions = [root / kind / name for kind in kinds for name in DAVIS_RESOLUTIONS]
    if benchmark := recognize_benchmark(root):
        return benchmark
    if (root / "ImageSets").is_dir() or any(path.is_dir() for path in resolutions):
        return "davis"
    if any((root / kind).is_dir() for kind in kinds):
        return "youtube"
    if sets := _data_sets_in(root):
        raise DatasetError(f"{root}: expected one data set, found {len(sets)} in it: {', '.join(sets)}; give one of "
                           "them")
    if splits_of(root):
        return "youtube"
    if any(mask for _, mask in match_pairs(root)):
        return "pairs"
    if match_folder_names(root):
        return "folders"
    if match_folder_names(root, instances=True):
        return "instances"
    if any(list_images(folder) for folder in (root, *subfolders(root))):
        return "frames"
    raise DatasetError(f"{root}: expected one of the layouts {', '.join(LAYOUTS)} (docs/DATA.md), found "
                       f"{', '.join(path.name for path in subfolders(root)[:8]) or 'nothing'} in it; check the path")


def _data_sets_in(root: Path) -> list[str]:
    """The folders of `root` that are data sets, with their layouts.

    Empty for the splits of one YouTube-VOS and for the class folders of one FSS-1000.
    """
    found = {}
    for folder in subfolders(root):
        if any((folder / name).is_dir() for name in ("JPEGImages", "Annotations", "ImageSets")):
            resolutions = [folder / "JPEGImages" / name for name in DAVIS_RESOLUTIONS]
            davis = (folder / "ImageSets").is_dir() or any(path.is_dir() for path in resolutions)
            found[folder] = "davis" if davis else "split"
        elif splits_of(folder):
            found[folder] = "youtube"
        elif match_folder_names(folder):
            found[folder] = "folders"
        elif match_folder_names(folder, instances=True):
            found[folder] = "instances"
    if not set(found.values()) - {"split"}:
        return []
    found |= {folder: "pairs" for folder in subfolders(root) if folder not in found and match_pairs(folder)}
    return [f"{folder.name} ({found[folder].replace('split', 'youtube')})" for folder in sorted(found)]


def list_videos(root: Path, layout: str, year: int | None, findings: list[Finding]) -> tuple[str, list[Video]]:
    """The layout in words and its videos; what is missing goes to `findings`.

    Args:
        layout: one of LAYOUTS. year: of DAVIS; None: 2017 if there are lists of 2017.

    Raises DatasetError if layout "folders" or "instances" has no pair of folders of images and masks.
    """
    if layout == "davis":
        return list_davis(root, year, findings)
    if layout == "youtube":
        return list_youtube(root, findings)
    if layout in TITLES:
        return list_benchmark(root, layout, findings)
    if layout == "frames":
        videos = [frames_of(folder) for folder in (root, *subfolders(root))]
        return "folder of frames", [video for video in videos if video.pairs]
    if layout == "pairs":
        pairs = match_pairs(root)
        masks = list_files_below(root, (".png",))
        return "still images, masks beside them", [still_images(root.name, pairs, masks, findings)]
    instances = layout == "instances"
    found = (instances and match_folder_names(root, instances)) or match_folder_names(root)
    if not found:
        example = "images, instances" if instances else "DUTS-TR-Image, DUTS-TR-Mask"
        raise DatasetError(f"{root}: expected a folder of images and one of masks ({example}), found none; check "
                           "--layout")
    title = f"still images and {'instance ' * instances}masks in folders: "
    title += ", ".join(f"{a.name} + {b.name}" for a, b in found)
    for _, folder in found:
        first_by_name(list_images(folder), findings)
    labels: Labels = "instances" if instances else "static"
    return title, [still_images(a.name, match_folders(a, b), list_images(b), findings, labels) for a, b in found]
