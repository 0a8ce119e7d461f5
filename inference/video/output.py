"""The results of a user's video, written frame by frame in a thread. Usable at any time."""

from collections.abc import Sequence

from inference.run.writer import WAITING, BackgroundWriter
from inference.video.options import OutputOptions
from inference.video.output_folder import OutputFolder
from inference.video.outputs.confidence import Confidence
from inference.video.outputs.cutouts import Cutouts
from inference.video.outputs.masks import Masks
from inference.video.outputs.output import Output
from inference.video.outputs.overlay import Overlay
from inference.video.outputs.polygons import Polygons
from inference.video.outputs.rle import Rle
from inference.video.outputs.soft import Soft
from inference.video.result import Result

FPS = 25.0                 # of overlays if the source has none: folders, some cameras
_FEW = 2                   # frames that may wait to be written with their probabilities, which are large

KINDS: dict[str, type[Output]] = {         # by the name of the option that asks for them
    "cutouts": Cutouts,
    "overlay": Overlay,
    "rle": Rle,
    "polygons": Polygons,
    "soft": Soft,
}


def kinds_of(wanted: OutputOptions) -> list[type[Output]]:
    """The kinds of results that are asked for; masks and their confidence always are."""
    return [Masks, *(kind for flag, kind in KINDS.items() if getattr(wanted, flag)), Confidence]


class VideoOutput(BackgroundWriter):
    """`write(result)`: gives the `Result` of each frame to every kind of output.

    Each picture appears complete. Files of the whole video, such as overlay.mp4, appear at the end, also after an
    error or an interruption; confidence.csv grows.
    """

    def __init__(self, folder: OutputFolder, kinds: Sequence[type[Output]], fps: float | None = None) -> None:
        self.wants_probabilities = any(kind.wants_probabilities for kind in kinds)
        super().__init__(folder.root.name, waiting=_FEW if self.wants_probabilities else WAITING)
        self.folder, self.outputs = folder, [kind(folder, fps or FPS) for kind in kinds]
        self.written = 0                     # frames whose files are all written

    def describe(self) -> str:
        """What is in the folder, for people."""
        kinds = [output.name for output in self.outputs if output.exists]
        contents = f" ({', '.join(kinds)})" if self.written else ""
        return f"{self.written} frames written to {self.folder.root}{contents}"

    def _write(self, result: Result) -> None:
        for output in self.outputs:
            output.write(result)
        self.written += 1

    def _finish(self) -> None:
        for output in self.outputs:
            self._attempt(output.finish)
