"""Segment a video of your own: a video file, a folder of images, a camera or a network stream.

    python scripts/segment_video.py --input cat.mp4 --mask first.png --output runs/cat
    python scripts/segment_video.py --input frames --mask 00000.png 00042.png --weights stcn.pth --output runs/late

A mask is a PNG of the video's size whose pixel values are object numbers, 0 being background. One mask belongs to the
first frame; several are named by the numbers of their frames, counted from 0. Writes OUTPUT/masks/00000.png, ...,
OUTPUT/overlay.mp4 and, at the end, OUTPUT/run.json. docs/VIDEO.md tells all of it.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from dataset.given_masks import GivenMasks
from dataset.videofile import open_video
from inference.commands import LESS_MEMORY, command
from inference.options import add_memory_flags, add_network_flags, parse_with_config, run_folder, segmenter_maker
from inference.run.read_ahead import ReadAhead
from inference.run.record import describe
from inference.video.live import LiveView
from inference.video.loop import segment_video, write_record
from inference.video.output import FPS, VideoOutput
from inference.video.output_folder import OutputFolder
from model import CheckpointError, ConfigError
from model.checkpoint import OWN_WEIGHTS
from scripts.arguments import CommandParser

COMPACT = OWN_WEIGHTS / "compact.pth"


@command(again="run it again with --overwrite", less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parse_with_config(parser(), arguments)
    if options.max_frames is not None and options.max_frames < 1:
        raise ConfigError(f"--max-frames {options.max_frames}: expected at least 1")
    options.weights = options.weights or own_weights()
    video = open_video(options.input, aside=options.mask)
    masks = GivenMasks(options.mask, video)
    options.input = video.name                       # as it may be shown and recorded: without passwords
    view = LiveView(video.name) if options.show else None
    segmenter = segmenter_maker(options, options.short_side)()
    run = run_folder(options, "segment_video", "input", "mask", "short_side", "max_frames")
    print(masks.describe())

    needed = (options.weights, video.name, *masks.paths.values())
    folder = OutputFolder(options.output, options.overwrite, needed)
    output = VideoOutput(folder, (video.fps or FPS) if options.overlay else None, options.cutouts)
    frames = masks.annotate(video, options.max_frames)
    total = min(filter(None, (video.announced, options.max_frames)), default=None)
    bar = tqdm(total=total, unit="frame", desc=options.output.name, dynamic_ncols=True, mininterval=0.5)
    report = segment_video(frames if video.live else ReadAhead(frames), segmenter, output, bar, view)
    print(describe(write_record(folder, run, report, video.announced)))
    print(output.describe())


def own_weights() -> Path:
    """The repository's network, which is small; raises CheckpointError where it is not there."""
    if not COMPACT.is_file():
        raise CheckpointError(f"{COMPACT}: expected the repository's own network, since --weights is not given, found "
                              "no such file; give --weights FILE")
    print(f"no --weights: using {COMPACT}, a small network; a larger one segments better")
    return COMPACT


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--input", required=True, metavar="VIDEO", help="video file, folder of images, camera number (0) or URL")
    add("--mask", required=True, nargs="+", metavar="PNG", help="label map of the first frame; or several, each named "
        "by its frame's number (00042.png) or, for a folder, like its frame")
    add("--weights", type=Path, help="network: own or published STCN layout (default: compact, the "
        "repository's own)")
    add("--output", type=Path, required=True, help="folder for the results")
    add("--short-side", type=int, default=480, metavar="PIXELS", help="larger frames are shrunk to it for the network, "
        "masks brought back; 0: native size (default: 480)")
    add("--overlay", action=argparse.BooleanOptionalAction, default=True, help="write OUTPUT/overlay.mp4 (default)")
    add("--cutouts", action="store_true", help="also write OUTPUT/cutouts/<object>/<frame>.png with transparency")
    add("--show", action="store_true", help="show the results in a window; q stops")
    add("--max-frames", type=int, metavar="N", help="stop after N frames")
    add("--overwrite", action="store_true", help="remove what an earlier run wrote to OUTPUT")
    add_network_flags(parser)
    add_memory_flags(parser)
    parser.set_defaults(flip=False, scales=[1.0], overlays=False)       # of evaluations, not here
    return parser


if __name__ == "__main__":
    main()
