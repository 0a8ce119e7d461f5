"""What all kinds of results have in common."""

from abc import ABC, abstractmethod
from typing import ClassVar

from inference.video.output_folder import OutputFolder
from inference.video.result import Result


class Output(ABC):
    """One kind of result, made frame by frame in the thread of `VideoOutput`.

    Every path is taken from `folder.new`, so that a later run may remove it.

    Args:
        folder: where the results go. fps: frames per second of the video.
    """

    name: ClassVar[str]                          # of its file, or of its folder, below the output folder
    wants_probabilities: ClassVar[bool] = False  # `Result.probabilities` are large; they are None if nobody wants them

    def __init__(self, folder: OutputFolder, fps: float) -> None:
        self.folder, self.fps = folder, fps

    @property
    def exists(self) -> bool:
        return (self.folder.root / self.name).exists()

    @abstractmethod
    def write(self, result: Result) -> None:
        """Add one frame."""

    def finish(self) -> None:       # noqa: B027  # few outputs have something left to do
        """Called after the last frame, also after an error or an interruption: what is there by then is kept."""
