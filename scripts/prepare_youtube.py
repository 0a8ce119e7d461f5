"""Resize the videos of YouTube-VOS to 480 pixels on the shorter side, in parallel; an interrupted run resumes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import os
import shutil

from dataset.errors import DatasetError
from dataset.image_files import by_frame_name, list_images
from dataset.masks import read_labels
from dataset.shrinking import claim, in_parallel, shrink_image, shrink_mask
from inference.commands import command
from scripts.arguments import CommandParser, positive

KINDS = ("JPEGImages", "Annotations")
PARTIAL = ".partial"
EPILOG = """\
Frames are averaged (INTER_AREA) and written as JPEGs of quality 95. Masks are resized by nearest neighbor and written
as indexed PNGs. Frames that are small enough are copied unchanged with their masks, and so is meta.json. A video
appears in the output when it is complete. After an interruption, run the same command again: it resumes.

example:
  python scripts/prepare_youtube.py --input YouTube-VOS/train --output YouTube-VOS/train_480p --workers 8

Exit status 2: a file is missing or cannot be read.
"""


@command(again="run the same command again: finished videos are kept")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    done, total = prepare(options.input, options.output, options.short_side, options.workers)
    print(f"{options.output}: {done} videos written, {total - done} were there already")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--input", type=Path, required=True, metavar="DIR", help="folder with JPEGImages, Annotations and meta.json")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the resized copy, with the same folders")
    add("--short-side", type=int, default=480, metavar="N",
        help="longest allowed shorter side of a frame, in pixels (default: %(default)s)")
    add("--workers", type=positive, default=os.cpu_count(), metavar="N", help="threads (default: one per core)")
    return parser


def prepare(source: Path, target: Path, short_side: int = 480, workers: int | None = None) -> tuple[int, int]:
    """Write the videos of `source` that `target` lacks. Returns the numbers of videos written and of all videos.

    Raises DatasetError for a missing folder, another short side in `target`, and unreadable files.
    """
    names = _videos(source)
    claim(source, target, short_side, usual=480)
    shutil.rmtree(target / PARTIAL, ignore_errors=True)
    missing = [name for name in names if not all((target / kind / name).is_dir() for kind in KINDS)]
    in_parallel(lambda name: _prepare_video(source, target, name, short_side), missing, workers, target.name, "video")
    shutil.rmtree(target / PARTIAL, ignore_errors=True)
    if (source / "meta.json").is_file():
        shutil.copyfile(source / "meta.json", target / "meta.json")
    return len(missing), len(names)


def _videos(source: Path) -> list[str]:
    names = {}
    for kind in KINDS:
        folder = source / kind
        if not folder.is_dir():
            raise DatasetError(f"{folder}: expected the {kind} of YouTube-VOS, found no such folder; check --input")
        names[kind] = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    frames, masks = names.values()
    if not frames:
        raise DatasetError(f"{source / KINDS[0]}: expected a folder per video, found none; check --input")
    for name in sorted(frames ^ masks):
        absent = KINDS[name in frames]
        present = KINDS[name not in frames]
        raise DatasetError(f"{source / absent / name}: expected a folder like the one in {present}, found none; "
                           "restore it, or remove the other")
    return sorted(frames)


def _prepare_video(source: Path, target: Path, name: str, short_side: int) -> None:
    partial = target / PARTIAL / name
    for kind in KINDS:
        (partial / kind).mkdir(parents=True)
        (target / kind).mkdir(exist_ok=True)
    frames = by_frame_name(list_images(source / KINDS[0] / name))
    if not frames:
        raise DatasetError(f"{source / KINDS[0] / name}: expected frames, found none; restore them")
    resized = {stem: shrink_image(frame, partial / KINDS[0], short_side) for stem, frame in frames.items()}
    for stem, mask in by_frame_name(list_images(source / KINDS[1] / name)).items():
        if stem not in resized:
            raise DatasetError(f"{mask}: expected a frame {stem} in {source / KINDS[0] / name}, found none; "
                               "restore the frame, or remove the mask")
        shrink_mask(mask, partial / KINDS[1], resized[stem], read_labels)
    for kind in KINDS:
        shutil.rmtree(target / kind / name, ignore_errors=True)     # from a run that was stopped between the two
        os.replace(partial / kind, target / kind / name)


if __name__ == "__main__":
    main()
