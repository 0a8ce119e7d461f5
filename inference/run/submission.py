"""What an evaluation of YouTube-VOS makes of its masks: scores if there is ground truth, the archive for the server."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset.files import atomic_write
from dataset.image_files import list_images
from dataset.youtube import YouTubeSequence
from inference.options import Options, option

MASKS = "Annotations"            # folder of the masks below that of the results, and in the archive
ARCHIVE = "submission.zip"
NOT_SCORED = ("not scored: the annotations do not cover the required frames; the server has them (--ground-truth DIR "
              "if you do)")


@dataclass(frozen=True)
class ResultOptions(Options):
    """What is made of the masks."""

    zip: bool = option(False, "also write OUTPUT/submission.zip for the server", recorded=False)
    ground_truth: Path | None = option(
        None, "folder of <video>/<frame>.png to score against (default: the root's Annotations, if they cover the "
        "required frames)", metavar="DIR", recorded=False)
    seen_from: Path | None = option(
        None, "the training set's meta.json: its categories are the seen ones", metavar="META", recorded=False)


def required_truths(
    videos: Sequence[YouTubeSequence], root: Path, ground_truth: Path | None
) -> dict[str, dict[str, Path]] | None:
    """Video -> required frame -> label map to score against, from `ground_truth` or the annotations of the root.

    None if `ground_truth` is None and the annotations of the root do not cover every required frame.
    """
    folder = ground_truth or root / MASKS
    found = {video.name: {path.stem: path for path in list_images(folder / video.name)} for video in videos}
    truths = {v.name: {name: path for name, path in found[v.name].items() if name in v.required} for v in videos}
    if ground_truth is None and any(len(truths[video.name]) < len(video.required) for video in videos):
        return None
    return truths


def write_zip(output: Path, videos: Sequence[str]) -> Path:
    """OUTPUT/submission.zip with Annotations/<video>/<frame>.png, as the server asks for; written atomically."""
    archive = output / ARCHIVE
    with atomic_write(archive) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for video in videos:
            for mask in sorted((output / MASKS / video).glob("*.png")):
                undated = zipfile.ZipInfo(f"{MASKS}/{video}/{mask.name}")      # the same masks, the same bytes
                file.writestr(undated, mask.read_bytes())
    return archive
