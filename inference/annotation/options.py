"""The options of scripts/annotate.py beside those of the network and the memory bank."""

from dataclasses import dataclass
from pathlib import Path

from inference.options import Options, option
from model.errors import ConfigError
from model.geometry import STRIDE


@dataclass(frozen=True)
class AnnotateOptions(Options):
    """The video, and how its page is served."""

    input: Path | None = option(None, "video file or folder of images (or --example)", metavar="VIDEO")
    example: bool = option(False, "annotate a generated clip, to try it out", recorded=False)
    output: Path | None = option(
        None, "folder of the annotation: everything is saved there at every change, and the same command continues it "
        "(default: runs/annotate/NAME)", metavar="DIR", recorded=False)
    weights: Path | None = option(
        None, "network: own or published STCN layout (default: compact, which comes with the repository)",
        metavar="FILE", recorded=False)
    short_side: int | None = option(
        None, "frames are painted and segmented at this short side, masks are exported at the video's size; 0: native "
        "size (default: 270 on a CPU, otherwise 480)", metavar="PIXELS", minimum=0)
    port: int = option(0, "port of the page (default: one that is free)", metavar="N", minimum=0, recorded=False)
    browser: bool = option(True, "open the page in a browser", recorded=False)

    def __post_init__(self) -> None:
        """Raises ConfigError if there is no video, or if there are two."""
        super().__post_init__()
        if self.input is None and not self.example:
            raise ConfigError("--input: expected a video file or a folder of images, found none; give one, or "
                              "--example for a generated clip")
        if self.input is not None and self.example:
            raise ConfigError("--example: expected either --input or --example, found both; omit one of them")
        if self.port > 65535:
            raise ConfigError(f"--port {self.port}: expected a number up to 65535")
        if self.short_side and self.short_side < STRIDE:
            raise ConfigError(f"--short-side {self.short_side}: expected 0, or at least {STRIDE} pixels")

    @property
    def folder(self) -> Path:
        """Where the annotation is."""
        name = "example" if self.input is None else self.input.stem or self.input.resolve().name
        return self.output or Path("runs/annotate") / name
