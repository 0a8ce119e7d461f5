"""masks/<frame>.png: label maps."""

from dataset.masks import write_labels
from inference.video.outputs.output import Output
from inference.video.result import Result


class Masks(Output):
    """Indexed PNGs with the DAVIS palette and the user's own object numbers."""

    name = "masks"

    def write(self, result: Result) -> None:
        write_labels(self.folder.new(self.name, f"{result.frame.name}.png"), result.labels)
