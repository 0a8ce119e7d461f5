"""The options of `scripts/segment_video.py` beside those of every evaluation."""

from dataclasses import dataclass
from pathlib import Path

from inference.options import Options, option
from model.errors import ConfigError


@dataclass(frozen=True)
class VideoOptions(Options):
    """The video, its masks, and the network."""

    input: str = option(help="video file, folder of images, camera number (0) or URL", metavar="VIDEO")
    mask: tuple[Path, ...] = option(
        (), "label map of the first frame; or several, each named by its frame's number (00042.png) or, for a folder, "
        "like its frame; not needed with --memory-from", metavar="PNG")
    weights: Path | None = option(
        None, "network: own or published STCN layout (default: compact, which comes with the repository)",
        metavar="FILE", recorded=False)
    max_frames: int | None = option(None, "stop after N frames", metavar="N", minimum=1)
    memory_from: Path | None = option(
        None, "begin with the objects that another run learned: a file of its --save-memory", metavar="FILE")
    frozen: bool = option(False, "only read the memory of --memory-from: learn nothing in this video")
    save_memory: Path | None = option(
        None, "at the end, write what is in memory to a file for --memory-from", metavar="FILE", recorded=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.mask and not self.memory_from:
            raise ConfigError("--mask or --memory-from: expected masks of the objects, or a memory that knows them, "
                              "found neither; give one of the two")
        if self.frozen and (self.mask or not self.memory_from):
            raise ConfigError("--frozen: expected --memory-from, and no --mask, since nothing is learned; omit "
                              "--frozen or --mask")


@dataclass(frozen=True)
class OutputOptions(Options):
    """What is written, and where."""

    output: Path = option(help="folder for the results", metavar="DIR", recorded=False)
    overlay: bool = option(True, "write OUTPUT/overlay.mp4", recorded=False)
    cutouts: bool = option(
        False, "also write OUTPUT/cutouts/<object>/<frame>.png with transparency", recorded=False)
    show: bool = option(False, "show the results in a window; q stops", recorded=False)
    overwrite: bool = option(False, "remove what an earlier run wrote to OUTPUT", recorded=False)
