"""Segment a video of your own: a video file, a folder of images, a camera or a network stream.

    python scripts/segment_video.py --input cat.mp4 --mask first.png --output runs/cat
    python scripts/segment_video.py --input frames --mask 00000.png 00042.png --weights stcn.pth --output runs/late
    python scripts/segment_video.py --input videos --masks masks --output runs/all
    python scripts/segment_video.py --input other.mp4 --memory-from cat.pth --frozen --output runs/other

A mask is a PNG of the video's size whose pixel values are object numbers, 0 being background. One mask belongs to the
first frame; several are named by the numbers of their frames, counted from 0. Writes OUTPUT/masks/00000.png, ...,
OUTPUT/confidence.csv, OUTPUT/overlay.mp4 and, at the end, OUTPUT/run.json. docs/VIDEO.md tells all of it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inference.commands import LESS_MEMORY, command
from inference.memory import MemoryOptions
from inference.run.record import describe
from inference.runtime import RuntimeOptions
from inference.video.folder_of_videos import segment_folder
from inference.video.options import OutputOptions, VideoOptions
from inference.video.single import Setup, UserVideo, segment_one
from inference.video.suggest import describe as advice
from inference.views import ViewOptions
from model import CheckpointError
from model.checkpoint import OWN_WEIGHTS
from scripts.arguments import CommandParser

COMPACT = OWN_WEIGHTS / "compact.pth"


@command(again="run it again with --overwrite", less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    given, wanted = options[VideoOptions], options[OutputOptions]
    weights = given.weights or own_weights()

    def setup() -> Setup:
        return Setup(weights, options[RuntimeOptions].resolved(), options[ViewOptions], options[MemoryOptions])

    if given.masks:
        segment_folder(given, wanted, setup)
        return
    video = UserVideo(given, wanted)
    shared = setup()
    if given.mask:
        print(video.masks.describe())
    finished = segment_one(video, shared)
    print(describe(finished.totals))
    print(finished.output.describe())
    print(advice(finished.watch.suggestions()))


def own_weights() -> Path:
    """The repository's network, which is small; raises CheckpointError if it is missing."""
    if not COMPACT.is_file():
        raise CheckpointError(f"{COMPACT}: expected the repository's own network, since --weights is not given, found "
                              "no such file; give --weights FILE")
    print(f"no --weights: using {COMPACT}, a small network; a larger one segments better")
    return COMPACT


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    parser.add_options(VideoOptions)
    parser.add_options(OutputOptions)
    parser.add_options(RuntimeOptions, precision="auto", decode="auto", objects_at_once=8)
    parser.add_options(ViewOptions, short_side=480)
    parser.add_options(MemoryOptions, title="memory bank")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
