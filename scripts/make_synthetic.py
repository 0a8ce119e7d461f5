"""Write miniature synthetic data sets in the layouts of ECSSD, DAVIS 2017 and YouTube-VOS.

    python scripts/make_synthetic.py --output data/miniature
    python scripts/make_synthetic.py --output data/example --kind davis --videos 1 --frames 40
    python scripts/make_synthetic.py --output data/long --kind long --videos 6 --frames 1000

Textured objects move, deform and occlude one another over a textured scene, with exact masks. They stand in for the
real data sets in the quickstart and in tests. Long clips are a benchmark of memory banks (docs/DATA.md). The same
arguments give the same files.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from dataset.made_folders import make_empty
from dataset.synthetic import YOUTUBE_MIN_FRAMES, make_davis, make_long, make_static, make_youtube
from inference.commands import command
from scripts.arguments import CommandParser

_FOLDERS = {"static": "static", "davis": "DAVIS", "youtube": "YouTube", "long": "Long"}
_ALL = ("static", "davis", "youtube")
_DEFAULTS = {"size": (192, 320), "frames": 60, "videos": 12}
_LONG_DEFAULTS = {"size": (240, 432), "frames": 1000, "videos": 6}


@command(again="run the same command again with --overwrite")
def main(arguments: list[str] | None = None) -> None:
    options = checked(parser(), arguments)
    kinds = list(_ALL) if options.kind == "all" else [options.kind]
    folders = [options.output / _FOLDERS[kind] for kind in kinds]
    make_empty(folders, options.overwrite)
    for kind, folder in zip(kinds, folders, strict=True):
        _make(kind, folder, options)
    print(f"wrote {', '.join(map(str, folders))}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--output", type=Path, required=True, metavar="DIR",
        help="folder for DIR/static, DIR/DAVIS, DIR/YouTube and DIR/Long, depending on --kind")
    add("--kind", choices=[*_FOLDERS, "all"], default="all",
        help="static: single images with one salient object, for pretraining; davis: every frame annotated; youtube: "
        "every fifth frame annotated, with late objects in valid; all: these three; long: every frame annotated, "
        "objects leave and return, hide and meet look-alikes, and the scene changes (default: %(default)s)")
    add("--size", type=int, nargs=2, metavar=("H", "W"),
        help="height and width in pixels, both at least 32 (default: 192 320; long: 240 432)")
    add("--frames", type=int, metavar="N",
        help="frames of a video; youtube needs at least 11 (default: 60; long: 1000)")
    add("--videos", type=int, metavar="N",
        help="number of training videos; a quarter as many, at least one, are added for validation, and static has "
        "ten images for each training video; long: number of clips (default: 12; long: 6)")
    add("--seed", type=int, default=0, metavar="S", help="another seed gives other clips (default: %(default)s)")
    add("--overwrite", action="store_true",
        help="first delete what this command wrote there before; other files are never deleted")
    return parser


def checked(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    options = parser.parse_args(arguments)
    for name, default in (_LONG_DEFAULTS if options.kind == "long" else _DEFAULTS).items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    if options.videos < 1 or options.frames < 1 or min(options.size) < 32 or options.seed < 0:
        parser.error("--videos and --frames must be at least 1, --size at least 32 32, and --seed at least 0")
    if options.kind in ("youtube", "all") and options.frames < YOUTUBE_MIN_FRAMES:
        parser.error(f"youtube needs --frames of at least {YOUTUBE_MIN_FRAMES}")
    return options


def _make(kind: str, folder: Path, options: argparse.Namespace) -> None:
    size, seed, count = tuple(options.size), options.seed, options.videos
    held_out = max(1, count // 4)
    if kind == "static":
        make_static(folder, images=10 * count, size=size, seed=seed)
    elif kind == "long":
        make_long(folder, count, options.frames, size, seed=seed)
    elif kind == "davis":
        make_davis(folder, {"train": count, "val": held_out}, options.frames, size, seed=seed)
    else:
        make_youtube(folder, {"train": count, "valid": held_out}, options.frames, size, seed=seed)


if __name__ == "__main__":
    main()
