"""Shrink a set of still images and their masks for training, in parallel; an interrupted run resumes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import os

from dataset.errors import DatasetError
from dataset.image_files import list_images
from dataset.shrinking import claim, in_parallel, shrink_image, shrink_mask
from dataset.static import match_folder_names, read_folders, read_mask, read_pairs
from inference.commands import command
from scripts.arguments import CommandParser, positive

SHORT_SIDE = 384
EPILOG = """\
BIG and HRSOD have images of many megapixels: decoding them takes most of the time of a training, and the network sees
crops of 384 pixels. The copy has the layout of the input: images beside their masks (BIG, ECSSD, FSS-1000), or a folder
of images and a folder of masks with the same names (HRSOD, DUTS). Images are averaged (INTER_AREA) and written as JPEGs
of quality 95. Masks are cut at half of their maximum, resized by nearest neighbor and written as indexed PNGs of 0 and
1. Images that are small enough are copied unchanged with their masks. Each file appears in the output when it is
complete. After an interruption, run the same command again: it resumes.

examples:
  python scripts/prepare_static.py --input data/static/BIG --output data/static/BIG_small
  python scripts/prepare_static.py --input data/static/HRSOD --output data/static/HRSOD_small --short-side 576

Exit status 2: a file is missing or cannot be read.
"""


@command(again="run the same command again: finished images are kept")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    done, total = prepare(options.input, options.output, options.short_side, options.workers)
    print(f"{options.output}: {done} images written, {total - done} were there already")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__, epilog=EPILOG)
    add = parser.add_argument
    add("--input", type=Path, required=True, metavar="DIR", help="folder of images and masks")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the smaller copy, with the same layout")
    add("--short-side", type=int, default=SHORT_SIDE, metavar="N",
        help="longest allowed shorter side of an image, in pixels (default: %(default)s, as in STCN)")
    add("--workers", type=positive, default=os.cpu_count(), metavar="N", help="threads (default: one per core)")
    return parser


def prepare(
    source: Path, target: Path, short_side: int = SHORT_SIDE, workers: int | None = None
) -> tuple[int, int]:
    """Write the pairs of `source` that `target` lacks. Returns the numbers of pairs written and of all pairs.

    Raises DatasetError for a missing folder or mask, another short side in `target`, and unreadable files.
    """
    pairs = _pairs(source)
    claim(source, target, short_side, usual=SHORT_SIDE)
    missing = [pair for pair in pairs
               if not _there(target, (pair[0].relative_to(source), pair[1].relative_to(source)))]
    in_parallel(lambda pair: _prepare_pair(source, target, pair, short_side), missing, workers, target.name, "image")
    return len(missing), len(pairs)


def _pairs(source: Path) -> tuple[tuple[Path, Path], ...]:
    """(image, mask) of every pair, in whichever of the two layouts `source` has."""
    if not source.is_dir():
        raise DatasetError(f"{source}: expected a folder of images and masks, found no such folder; check --input")
    folders = [(images, masks) for images, masks in match_folder_names(source) if list_images(images)]
    if not folders:
        return read_pairs(source).pairs
    found = (read_folders(source, images.name, masks.name).pairs for images, masks in folders)
    return tuple(pair for pairs in found for pair in pairs)


def _there(target: Path, pair: tuple[Path, Path]) -> bool:
    """Whether image and mask are in the output, copied or shrunk. pair: relative paths."""
    return all(
        (target / path).is_file() or (target / path).with_suffix(suffix).is_file()
        for path, suffix in zip(pair, (".jpg", ".png"), strict=True)
    )


def _prepare_pair(source: Path, target: Path, pair: tuple[Path, Path], short_side: int) -> None:
    image, mask = pair
    folders = [target / path.parent.relative_to(source) for path in pair]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    size = shrink_image(image, folders[0], short_side)
    shrink_mask(mask, folders[1], size, read_mask)


if __name__ == "__main__":
    main()
