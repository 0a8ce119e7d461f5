"""Write miniature synthetic data sets in the layouts of ECSSD, DAVIS 2017 and YouTube-VOS.

    python scripts/make_synthetic.py --output data/miniature
    python scripts/make_synthetic.py --output data/example --kind davis --videos 1 --frames 40

Textured objects move, deform and occlude one another over a textured scene, with exact masks. They stand in for the
real data sets in the quickstart and in tests. The same arguments give the same files.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset.files import in_one_line
from dataset.synthetic import YOUTUBE_MIN_FRAMES, make_davis, make_static, make_youtube
from scripts.arguments import CommandParser

_FOLDERS = {"static": "static", "davis": "DAVIS", "youtube": "YouTube"}
_MARK = ".synthetic"    # tells our folders from the real data sets of the same name


def main(arguments: list[str] | None = None) -> int:
    options = checked(parser(), arguments)
    kinds = list(_FOLDERS) if options.kind == "all" else [options.kind]
    folders = [options.output / _FOLDERS[kind] for kind in kinds]
    try:
        _clear(folders, options.overwrite)
        for kind, folder in zip(kinds, folders, strict=True):
            _make(kind, folder, options)
    except (OSError, ValueError) as error:
        print(f"make_synthetic: {in_one_line(error)}", file=sys.stderr)
        return 2
    print(f"wrote {', '.join(map(str, folders))}")
    return 0


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR",
                        help="writes DIR/static, DIR/DAVIS and DIR/YouTube, as --kind asks")
    parser.add_argument("--kind", choices=[*_FOLDERS, "all"], default="all",
                        help="static: single images with a salient object, for pretraining; davis: every frame "
                        "annotated; youtube: every fifth, with late objects in valid (default: %(default)s)")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 320), metavar=("H", "W"),
                        help="height and width in pixels, both at least 32 (default: 192 320)")
    parser.add_argument("--frames", type=int, default=60, metavar="N",
                        help="frames in a video; youtube needs at least 11 (default: %(default)s)")
    parser.add_argument("--videos", type=int, default=12, metavar="N",
                        help="training videos; a quarter as many, at least one, are added for validation, and "
                        "static has ten images for each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S",
                        help="another seed gives other clips (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true",
                        help="first delete what this command wrote there before; other data are never deleted")
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
            raise FileExistsError(f"{folder} holds files of another origin; choose another --output")
        if not overwrite:
            raise FileExistsError(f"{folder} is not empty; choose another --output or add --overwrite")
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
    sys.exit(main())
