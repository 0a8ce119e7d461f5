"""Write miniature synthetic data sets in the layouts of ECSSD, DAVIS 2017 and YouTube-VOS.

    python scripts/make_synthetic.py --output data/miniature
    python scripts/make_synthetic.py --output data/example --kind davis --videos 1 --frames 40

Textured objects move, deform and occlude one another over a textured scene, with exact masks. They stand in for the
real data sets in the quickstart and in tests. The same arguments give the same files.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import shutil

from dataset.errors import DatasetError
from dataset.synthetic import YOUTUBE_MIN_FRAMES, make_davis, make_static, make_youtube
from inference.commands import command
from scripts.arguments import CommandParser

_FOLDERS = {"static": "static", "davis": "DAVIS", "youtube": "YouTube"}
_MARK = ".synthetic"    # distinguishes our folders from real data sets of the same name


@command(again="run the same command again with --overwrite")
def main(arguments: list[str] | None = None) -> None:
    options = checked(parser(), arguments)
    kinds = list(_FOLDERS) if options.kind == "all" else [options.kind]
    folders = [options.output / _FOLDERS[kind] for kind in kinds]
    _clear(folders, options.overwrite)
    for kind, folder in zip(kinds, folders, strict=True):
        _make(kind, folder, options)
    print(f"wrote {', '.join(map(str, folders))}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR",
        help="folder for DIR/static, DIR/DAVIS and DIR/YouTube, depending on --kind")
    add("--kind", choices=[*_FOLDERS, "all"], default="all",
        help="static: single images with one salient object, for pretraining; davis: every frame annotated; youtube: "
        "every fifth frame annotated, with late objects in valid (default: %(default)s)")
    add("--size", type=int, nargs=2, default=(192, 320), metavar=("H", "W"),
        help="height and width in pixels, both at least 32 (default: 192 320)")
    add("--frames", type=int, default=60, metavar="N",
        help="frames of a video; youtube needs at least 11 (default: %(default)s)")
    add("--videos", type=int, default=12, metavar="N",
        help="number of training videos; a quarter as many, at least one, are added for validation, and static has "
        "ten images for each training video (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="S", help="another seed gives other clips (default: %(default)s)")
    add("--overwrite", action="store_true",
        help="first delete what this command wrote there before; other files are never deleted")
    return parser


def checked(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    options = parser.parse_args(arguments)
    if options.videos < 1 or options.frames < 1 or min(options.size) < 32 or options.seed < 0:
        parser.error("--videos and --frames must be at least 1, --size at least 32 32, and --seed at least 0")
    if options.kind in ("youtube", "all") and options.frames < YOUTUBE_MIN_FRAMES:
        parser.error(f"youtube needs --frames of at least {YOUTUBE_MIN_FRAMES}")
    return options


def _clear(folders: list[Path], overwrite: bool) -> None:
    for folder in folders:
        if not folder.exists() or not any(folder.iterdir()):
            continue
        if not (folder / _MARK).exists():
            raise DatasetError(f"{folder}: expected an empty folder, found files of another origin; choose another "
                               "--output")
        if not overwrite:
            raise DatasetError(f"{folder}: expected an empty folder, found one that is not empty; choose another "
                               "--output or add --overwrite")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _MARK).touch()


def _make(kind: str, folder: Path, options: argparse.Namespace) -> None:
    size, seed, count = tuple(options.size), options.seed, options.videos
    held_out = max(1, count // 4)
    if kind == "static":
        make_static(folder, images=10 * count, size=size, seed=seed)
    elif kind == "davis":
        make_davis(folder, {"train": count, "val": held_out}, options.frames, size, seed=seed)
    else:
        make_youtube(folder, {"train": count, "valid": held_out}, options.frames, size, seed=seed)


if __name__ == "__main__":
    main()
