"""Small sets of still images and videos, and clips of them, for the tests of composites and clip options."""

import cv2
import numpy as np

from dataset.clips import ClipConfig, Clips, SourceConfig
from dataset.masks import write_image, write_labels
from dataset.synthetic import make_davis, make_static


def make_sources(root):
    """`root`/static: one object an image; `root`/several: instance masks; `root`/DAVIS."""
    make_static(root / "static", images=5, size=(60, 80), seed=0, progress=False)
    make_davis(root / "DAVIS", sequences={"train": 2}, frames=9, size=(60, 80), progress=False)
    for number in range(4):
        image, labels = squares(60, 80, {1: (5, 5), 2: (5, 45), 7: (35, 20)}, side=20)
        labels[0, :8] = 255
        for folder in ("images", "instances"):
            (root / "several" / folder).mkdir(parents=True, exist_ok=True)
        write_image(root / f"several/images/{number}.jpg", image)
        write_labels(root / f"several/instances/{number}.png", labels)
    return root


def squares(height, width, places, side):
    """A gray image with a square per object, labels -> (top, left)."""
    image, labels = np.full((height, width, 3), 90, np.uint8), np.zeros((height, width), np.uint8)
    for number, (top, left) in places.items():
        image[top:top + side, left:left + side] = (40 * number % 256, 200, 90)
        labels[top:top + side, left:left + side] = number
    return image, labels


def clips_of(source, **options):
    return Clips(ClipConfig((source,), **{"crop": 64, **options}), seed=7, batch_size=2, iterations=50)


def static_row(roots, **options):
    return SourceConfig(str(roots / "static"), "pairs", **options)


def several_row(roots, **options):
    return SourceConfig(str(roots / "several"), "instances", masks="instances", **options)


def cv_erode(mask):
    """The pixels of a mask that soft edges do not reach."""
    return cv2.erode(np.asarray(mask, np.uint8), np.ones((5, 5), np.uint8)) > 0
