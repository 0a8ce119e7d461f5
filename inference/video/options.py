"""The options of `scripts/segment_video.py` beside those of every evaluation."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inference.options import Options, option
from model.errors import ConfigError


@dataclass(frozen=True)
class VideoOptions(Options):
    """The video, its masks, and the network."""

    input: str = option(
        help="video file, folder of images, camera number (0) or URL; with --masks, a folder of videos",
        metavar="VIDEO")
    mask: tuple[Path, ...] = option(
        (), "label map of the first frame; or several, each named by its frame's number (00042.png) or, for a folder, "
        "like its frame (or --masks, or --memory-from)", metavar="PNG")
    masks: Path | None = option(
        None, "instead of --mask, for a folder of videos: those of cat.mp4, or of the folder of images cat, are "
        "DIR/cat.png or DIR/cat/*.png", metavar="DIR", recorded=False)
    weights: Path | None = option(
        None, "network: own or published STCN layout (default: compact, which comes with the repository)",
        metavar="FILE", recorded=False)
    max_frames: int | None = option(None, "stop after N frames", metavar="N", minimum=1)
    direction: Literal["forward", "both"] = option(
        "forward", "both: also segment backward from each mask, for masks at any frames; files and folders only")
    keep_given: bool = option(False, "frames with a given mask stay in memory; with --direction both, they inform all "
                              "frames, also earlier ones")
    pause_when_lost: int | None = option(
        None, "stop when an object has been absent or uncertain in N frames in a row (without N: 5), and say which "
        "frame to annotate", metavar="N", minimum=1, bare=5, recorded=False)
    memory_from: Path | None = option(
        None, "begin with the objects that another run learned: a file of its --save-memory", metavar="FILE")
    frozen: bool = option(False, "only read the memory of --memory-from: learn nothing in this video")
    save_memory: Path | None = option(
        None, "at the end, write what is in memory to a file for --memory-from", metavar="FILE", recorded=False)

    def __post_init__(self) -> None:
        """Raises ConfigError for masks that are missing or given twice, and for options that do not go together."""
        super().__post_init__()
        if self.mask and self.masks:
            raise ConfigError("--mask: expected either --mask, or --masks for a folder of videos, found both; give one "
                              "of them")
        if not self.mask and not self.masks and not self.memory_from:
            raise ConfigError("--mask: expected masks of the objects (--mask, or --masks for a folder of videos) or a "
                              "memory that knows them (--memory-from), found none; give one of the three")
        if self.frozen and (self.mask or self.masks or not self.memory_from):
            raise ConfigError("--frozen: expected --memory-from, and no masks, since nothing is learned; omit --frozen "
                              "or the masks")
        if self.save_memory and self.masks:
            raise ConfigError("--save-memory: expected one video, found --masks for a folder of videos; omit one of "
                              "them")
        if self.direction == "both" and (self.memory_from or self.save_memory):
            raise ConfigError("--direction both: expected to begin and end without a memory, since there are two "
                              "passes, found --memory-from or --save-memory; omit one of them")


@dataclass(frozen=True)
class OutputOptions(Options):
    """What is written, and where."""

    output: Path = option(help="folder for the results", metavar="DIR", recorded=False)
    overlay: bool = option(True, "write OUTPUT/overlay.mp4", recorded=False)
    cutouts: bool = option(
        False, "also write OUTPUT/cutouts/<object>/<frame>.png with transparency", recorded=False)
    rle: bool = option(
        False, "also write OUTPUT/masks.json: a COCO file with run-length encoded masks (needs pycocotools)",
        recorded=False)
    polygons: bool = option(
        False, "also write OUTPUT/polygons.json: a COCO file with polygons, which have no holes", recorded=False)
    soft: bool = option(
        False, "also write OUTPUT/soft/<object>/<frame>.png: probabilities as 16-bit PNGs", recorded=False)
    show: bool = option(False, "show the results in a window; q stops", recorded=False)
    overwrite: bool = option(False, "remove what an earlier run wrote to OUTPUT", recorded=False)

    def __post_init__(self) -> None:
        """Raises ConfigError if pycocotools is wanted and missing."""
        super().__post_init__()
        if self.rle and not installed("pycocotools"):
            raise ConfigError("--rle: expected the package pycocotools, found that it is not installed; `pip install "
                              "pycocotools`, or leave --rle out")


def installed(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True
