"""An annotation of a small clip by a tiny network, for tests: opened, painted, propagated, and what it told."""

import io

import numpy as np
from PIL import Image

from dataset.masks import write_image
from inference.annotation.annotation import Annotation
from inference.annotation.network import Network
from inference.annotation.project import Project
from inference.annotation.video import read_video
from inference.memory import MemoryOptions
from inference.runtime import RuntimeOptions
from inference.views import ViewOptions

COUNT, SIZE, SHORT_SIDE = 6, (64, 96), 32
SHOWN = (32, 48)


def write_frames(folder, clip):
    folder.mkdir()
    for index, (image, _) in enumerate(clip[:COUNT]):
        write_image(folder / f"{index:05d}.png", image)
    return folder


class Annotating:
    """An open annotation, and the events that it told."""

    def __init__(self, root, frames, weights):
        self.told = []
        self.video = read_video(frames)
        network = Network(weights, RuntimeOptions(device="cpu", tune="off").resolved(), ViewOptions(SHORT_SIDE))
        self.project = Project(root, self.video)
        self.annotation = Annotation(
            self.project, self.video, network, MemoryOptions(memory_every=2, top_k=5), self.tell)

    def tell(self, name, content):
        self.told.append((name, content))

    def wait(self):
        """Until the worker has done what it was asked for."""
        self.annotation.worker.submit(lambda: None).result(120)

    def propagate(self, direction="forward", start=0):
        """To the end; returns the frames that were segmented."""
        self.wait()
        before = len(self.told)
        self.annotation.propagate(direction, start).result(120)
        return [content["frame"] for name, content in self.told[before:] if name == "mask"]

    def masks(self):
        return [self.annotation.mask(frame) for frame in range(COUNT)]

    @property
    def board(self):
        return self.annotation.engine.board


def painted(number=1, place=8):
    """A label map of a square, at the working size."""
    labels = np.zeros(SHOWN, np.uint8)
    labels[place : place + 12, 10:26] = number
    return labels


def png(labels):
    content = io.BytesIO()
    Image.fromarray(labels).save(content, "PNG")
    return content.getvalue()
