"""polygons.json: the masks as a COCO file of polygons."""

import cv2
import numpy as np
from tqdm import tqdm

from inference.video.outputs.coco import CocoOutput


class Polygons(CocoOutput):
    """COCO polygons have no holes: holes are filled, and `finish` says in how many masks. Areas are those of the masks,
    without their holes."""

    name = "polygons.json"
    filled = 0                                   # masks with holes so far

    def segmentation(self, mask: np.ndarray) -> list[list[int]]:
        polygons = outlines(mask)
        self.filled += sum(map(_area, polygons)) != np.count_nonzero(mask)
        return [polygon.ravel().tolist() for polygon in polygons]

    def finish(self) -> None:
        super().finish()
        if self.filled:
            tqdm.write(f"note: {self.filled} masks have holes, which {self.name} shows filled, because COCO polygons "
                       "have none; --rle keeps them")


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """The outer outlines of a mask [H, W] bool: [corners, 2] int32 (x, y) each.

    They follow the edges of the pixels: pixel (x, y) covers the square from (x, y) to (x + 1, y + 1), as in COCO. So
    they lose nothing but holes. Pixels that touch at a corner are in one outline.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    doubled = mask[y : y + height, x : x + width].repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(doubled.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # OpenCV joins the centers of the outermost pixels. With four pixels in place of one, each of these belongs to one
    # corner of its pixel: the left one at column 2x, the right one at 2x + 1.
    return [_corners((contour[:, 0] + 1) // 2) + np.array([x, y]) for contour in contours]


def _corners(path: np.ndarray) -> np.ndarray:
    """The points of a closed path [points, 2] of horizontal and vertical steps at which it turns."""
    path = path[(path != np.roll(path, -1, axis=0)).any(axis=1)]
    step = np.roll(path, -1, axis=0) - path
    return path[(step != np.roll(step, 1, axis=0)).any(axis=1)]


def _area(polygon: np.ndarray) -> int:
    """Pixels inside (the shoelace formula)."""
    (x, y), (next_x, next_y) = polygon.T, np.roll(polygon, -1, axis=0).T
    return abs(int((x * next_y - next_x * y).sum())) // 2
