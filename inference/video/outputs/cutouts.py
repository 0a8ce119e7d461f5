"""cutouts/<object>/<frame>.png: each object without its background."""

import numpy as np

from dataset.masks import write_image
from inference.video.outputs.output import Output
from inference.video.result import Result


class Cutouts(Output):
    """RGBA PNGs of the frame's size."""

    name = "cutouts"

    def write(self, result: Result) -> None:
        for number in result.objects:
            path = self.folder.new(self.name, str(number), f"{result.frame.name}.png")
            write_image(path, cutout(result.frame.image, result.labels, number))


def cutout(image: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """One object without its background: [H, W, 4] uint8 RGBA, transparent black elsewhere."""
    rgba = np.zeros((*labels.shape, 4), np.uint8)
    inside = labels == number
    rgba[inside, :3], rgba[inside, 3] = image[inside], 255
    return rgba
