"""One picture of a video's frames with their masks.

    python scripts/show_masks.py --images DAVIS/JPEGImages/480p/dog --masks runs/dog/masks --output dog.jpg

Masks are label maps, such as segment_video.py and eval_davis.py write. They belong to the images in natural order, and
are as many. Each object has its color, and its outline is white.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

import numpy as np

from dataset.errors import DatasetError
from dataset.image_files import natural_order
from dataset.masks import in_pixels, overlay, read_image, read_labels, write_image
from inference.commands import command
from scripts.arguments import CommandParser

_GAP = 4        # pixels between the frames, white


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    images, masks = (files(folder) for folder in (options.images, options.masks))
    if len(images) != len(masks):
        raise DatasetError(f"{options.masks}: expected {len(images)} masks, one for each image of {options.images}, "
                           f"found {len(masks)}; give folders of the same video")
    shown = np.linspace(0, len(images) - 1, options.rows * options.columns).round().astype(int)
    frames = [shown_frame(images[index], masks[index]) for index in shown]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_image(options.output, grid(frames, options.columns))
    print(f"wrote {options.output}: frames {', '.join(images[index].stem for index in shown)} with their masks")


def files(folder: Path) -> list[Path]:
    """The files of a folder in natural order; raises DatasetError if there are none."""
    found = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    if not found:
        raise DatasetError(f"{folder}: expected a folder of images, found none; check the path")
    return natural_order(found)


def shown_frame(image: Path, mask: Path) -> np.ndarray:
    frame, labels = read_image(image), read_labels(mask)
    if labels.shape != frame.shape[:2]:
        raise DatasetError(f"{mask}: expected {in_pixels(frame.shape)}, the size of {image}, found "
                           f"{in_pixels(labels.shape)}; give masks of these images")
    return overlay(frame, labels)


def grid(frames: list[np.ndarray], columns: int) -> np.ndarray:
    """Frames [H, W, 3] of one size, row by row, with white lines between them."""
    padded = [np.pad(frame, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255) for frame in frames]
    rows = [np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)]
    return np.vstack(rows)[:-_GAP, :-_GAP]


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--images", type=Path, required=True, metavar="DIR", help="folder of the frames")
    add("--masks", type=Path, required=True, metavar="DIR", help="folder of their masks")
    add("--output", type=Path, required=True, metavar="FILE", help="picture to write, a .jpg or .png file")
    add("--rows", type=int, default=2, metavar="N", help="rows of frames (default: %(default)s)")
    add("--columns", type=int, default=2, metavar="N", help="frames in a row (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
