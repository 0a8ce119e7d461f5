"""Segment a video of your own: a video file, a folder of images, a camera or a network stream.

    python scripts/segment_video.py --input cat.mp4 --mask first.png --output runs/cat
    python scripts/segment_video.py --input frames --mask 00000.png 00042.png --weights stcn.pth --output runs/late
    python scripts/segment_video.py --input other.mp4 --memory-from cat.pth --frozen --output runs/other

A mask is a PNG of the video's size whose pixel values are object numbers, 0 being background. One mask belongs to the
first frame; several are named by the numbers of their frames, counted from 0. Writes OUTPUT/masks/00000.png, ...,
OUTPUT/overlay.mp4 and, at the end, OUTPUT/run.json. docs/VIDEO.md tells all of it.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tqdm import tqdm

from dataset.given_masks import GivenMasks
from dataset.videofile import open_video
from inference.commands import LESS_MEMORY, command
from inference.device import device_of
from inference.evaluation import make_segmenter, run_settings
from inference.memory import MemoryOptions
from inference.run.folder import RunFolder
from inference.run.read_ahead import ReadAhead
from inference.run.record import describe
from inference.runtime import RuntimeOptions, load_for
from inference.video.live import LiveView
from inference.video.loop import segment_video, write_record
from inference.video.memory_file import check_memory_target, load_memory, save_memory
from inference.video.options import OutputOptions, VideoOptions
from inference.video.output import FPS, VideoOutput
from inference.video.output_folder import OutputFolder
from inference.views import ViewOptions
from model import CheckpointError
from model.checkpoint import OWN_WEIGHTS
from scripts.arguments import CommandParser

COMPACT = OWN_WEIGHTS / "compact.pth"


@command(again="run it again with --overwrite", less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    given, wanted, runtime = options[VideoOptions], options[OutputOptions], options[RuntimeOptions].resolved()
    views, memory = options[ViewOptions], options[MemoryOptions]
    weights = given.weights or own_weights()
    if given.save_memory:
        check_memory_target(given.save_memory, wanted.overwrite)
    video = open_video(given.input, excluded=given.mask)
    masks = GivenMasks(given.mask, video)
    view = LiveView(video.name) if wanted.show else None
    segmenter = make_segmenter(load_for(runtime, weights), runtime, views, memory)
    shown = replace(given, input=video.name)                 # as it may be recorded: without passwords
    settings = run_settings("segment_video", weights, [runtime, views, memory, shown])
    about = {"weights": str(weights), "device": str(device_of(runtime.device)), "processes": 1}
    if given.memory_from:
        load_memory(given.memory_from, segmenter, settings, weights)
        segmenter.freeze(given.frozen)
        print(f"from {given.memory_from}: objects {', '.join(map(str, segmenter.objects))}")
    if given.mask:
        print(masks.describe())

    taken = [given.memory_from] if given.memory_from else []
    folder = OutputFolder(wanted.output, wanted.overwrite, (weights, video.name, *masks.paths.values(), *taken))
    output = VideoOutput(folder, (video.fps or FPS) if wanted.overlay else None, wanted.cutouts)
    frames = masks.annotate(video, given.max_frames)
    total = min(filter(None, (video.announced, given.max_frames)), default=None)
    bar = tqdm(total=total, unit="frame", desc=wanted.output.name, dynamic_ncols=True, mininterval=0.5)
    report = segment_video(frames if video.live else ReadAhead(frames), segmenter, output, bar, view)
    if given.save_memory:
        save_memory(given.save_memory, segmenter, settings, weights)
    run = RunFolder(wanted.output, settings, about)
    print(describe(write_record(folder, run, report, video.announced)))
    print(output.describe())


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
    parser.add_options(RuntimeOptions, precision="auto", objects_at_once=8)
    parser.add_options(ViewOptions, short_side=480)
    parser.add_options(MemoryOptions, title="memory bank")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
