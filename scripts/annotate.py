"""Annotate a video in the browser: paint a mask, propagate it, correct it where it fails, export.

    python scripts/annotate.py --input cat.mp4
    python scripts/annotate.py --input frames --output runs/cat --weights stcn.pth
    python scripts/annotate.py --example

It prints an address and opens it in a browser; nothing leaves this machine. Everything is saved in OUTPUT at every
change: stop it with Ctrl-C, and the same command continues. An export writes what scripts/segment_video.py writes.
docs/ANNOTATE.md tells all of it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inference.annotation.annotation import Annotation
from inference.annotation.example import write_example
from inference.annotation.network import Network
from inference.annotation.options import AnnotateOptions
from inference.annotation.project import Project
from inference.annotation.video import read_video
from inference.commands import LESS_MEMORY, command
from inference.device import device_of
from inference.memory import MemoryOptions
from inference.runtime import RuntimeOptions
from inference.views import ViewOptions
from scripts.annotation.events import Hub
from scripts.annotation.listening import serve
from scripts.arguments import CommandParser
from scripts.segment_video import own_weights

_SHORT_SIDE = {"cpu": 270}         # by device; otherwise 480, that of segment_video.py


@command(again="run the same command again: everything is saved", less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    given, runtime = options[AnnotateOptions], options[RuntimeOptions].resolved()
    short_side = given.short_side
    if short_side is None:
        short_side = _SHORT_SIDE.get(device_of(runtime.device).type, 480)
    network = Network(given.weights or own_weights(), runtime, ViewOptions(short_side=short_side))
    hub = Hub()
    video = read_video(given.input.expanduser() if given.input else write_example(given.folder / "example"))
    project = Project(given.folder, video)
    annotation = Annotation(project, video, network, options[MemoryOptions], hub.publish)
    try:
        annotation.shown.prepare()
        serve(annotation, hub, given)
    finally:
        annotation.close()


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    parser.add_options(AnnotateOptions)
    parser.add_options(RuntimeOptions, precision="auto", objects_at_once=8)
    parser.add_options(MemoryOptions, title="memory bank of a new annotation; the page changes it later")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
