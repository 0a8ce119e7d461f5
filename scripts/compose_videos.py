"""Make videos of several objects from videos of one, to test banks and networks on several objects.

    python scripts/compose_videos.py --davis-root data/DAVIS --year 2016 --output data/composites
    python eval_davis.py --davis-root data/composites --year 2017 --weights compact --output runs/composites

The objects of the next sequences of the list are pasted onto every frame of a sequence, where they keep their pixels
and their motion and occlude one another. The output has the layout of DAVIS 2017, with every frame annotated.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from dataset.errors import DatasetError
from dataset.made_folders import make_empty
from dataset.video_composites import compose_davis
from inference.commands import command
from scripts.arguments import CommandParser, positive


@command(again="run the same command again with --overwrite")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    if options.davis_root.resolve().is_relative_to(options.output.resolve()):
        raise DatasetError(f"{options.output}: expected another folder than --davis-root, found {options.davis_root} "
                           "in it; choose another --output")
    make_empty([options.output], options.overwrite)
    compose_davis(options.davis_root, options.output, options.videos, options.year, options.split, options.sequences)
    print(f"wrote {options.output}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--davis-root", type=Path, required=True, metavar="DIR", help="DAVIS, with every frame of the split annotated")
    add("--year", type=int, choices=(2016, 2017), default=2016, help="year of DAVIS (default: %(default)s)")
    add("--split", default="val", help="list of sequences in ImageSets (default: %(default)s)")
    add("--sequences", nargs="+", metavar="NAME", help="only these sequences of the split")
    add("--videos", type=positive, default=2, metavar="N",
        help="sequences whose objects are seen in a composite, at least 2 (default: %(default)s)")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the composites")
    add("--overwrite", action="store_true",
        help="first delete what this command wrote there before; other files are never deleted")
    return parser


if __name__ == "__main__":
    main()
