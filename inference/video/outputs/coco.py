"""A COCO file (https://cocodataset.org/#format-data) that is written while the video runs, in bounded memory."""

import contextlib
import json
import os
import shutil
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataset.files import file_named_in_errors
from dataset.masks import labels_in
from inference.video.output_folder import OutputFolder
from inference.video.outputs.output import Output
from inference.video.result import Result

_INFO = {"description": "a category per object of the video; file_name is that of the frame's mask in the folder masks"}


class CocoOutput(Output):
    """An image per frame, a category per object, and an annotation for each object that is visible in a frame.

    Categories have the numbers of the objects. Images and annotations are numbered from 1, in their order. Subclasses
    define `name` and `segmentation`.
    """

    def __init__(self, folder: OutputFolder, fps: float) -> None:
        super().__init__(folder, fps)
        self._file: CocoFile | None = None

    @abstractmethod
    def segmentation(self, mask: np.ndarray) -> Any:
        """What the file says of a mask [H, W] bool that is not empty."""

    def write(self, result: Result) -> None:
        if self._file is None:
            self._file = CocoFile(self.folder.new(self.name))
        shown = [number for number in labels_in(result.labels) if number]
        masks = {number: result.labels == number for number in shown}
        self._file.add(f"{result.frame.name}.png", result.labels.shape, result.objects, {
            number: {
                "segmentation": self.segmentation(mask), "area": int(mask.sum()),
                "bbox": [float(value) for value in cv2.boundingRect(mask.view(np.uint8))], "iscrowd": 0,
            } for number, mask in masks.items()
        })

    def finish(self) -> None:
        if self._file is not None:
            self._file.close()


class CocoFile:
    """Writes each entry at once: annotations to a partial file, images to a nameless one.

    `path` appears on closing, and only if no write failed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.partial = path, path.with_name(f".{path.name}.partial")     # a name that OutputFolder removes
        self._images = tempfile.TemporaryFile("w+", dir=path.parent, encoding="utf-8")      # noqa: SIM115
        self._annotations = open(self.partial, "w", encoding="utf-8")                       # noqa: SIM115
        self._annotations.write(f'{{"info": {json.dumps(_INFO)},\n"annotations": [')
        self._image = self._annotation = 0               # the last numbers
        self._objects: set[int] = set()
        self._whole = True

    def add(
        self, name: str, size: tuple[int, ...], objects: list[int], annotations: dict[int, dict[str, Any]],
    ) -> None:
        """Add an image of (height, width), the objects known by then, and annotations by object number."""
        self._objects.update(objects)
        self._whole = False
        with file_named_in_errors(self.path):
            self._image += 1
            image = {"id": self._image, "file_name": name, "width": size[1], "height": size[0]}
            self._images.write(_entry(image, first=self._image == 1))
            for number, annotation in annotations.items():
                self._annotation += 1
                ids = {"id": self._annotation, "image_id": self._image, "category_id": number}
                self._annotations.write(_entry(ids | annotation, first=self._annotation == 1))
        self._whole = True

    def close(self) -> None:
        """Raises OSError if the disk is full."""
        try:
            if self._whole:
                with file_named_in_errors(self.path):
                    self._complete()
        finally:
            for file in (self._annotations, self._images):
                with contextlib.suppress(OSError):       # a full disk has been reported
                    file.close()
            self.partial.unlink(missing_ok=True)

    def _complete(self) -> None:
        self._annotations.write('\n],\n"images": [')
        self._images.seek(0)
        shutil.copyfileobj(self._images, self._annotations)
        self._annotations.write('\n],\n"categories": [')
        for place, number in enumerate(sorted(self._objects)):
            category = {"id": number, "name": f"object {number}", "supercategory": "object"}
            self._annotations.write(_entry(category, first=place == 0))
        self._annotations.write("\n]}\n")
        self._annotations.close()
        os.replace(self.partial, self.path)


def _entry(content: dict[str, Any], first: bool) -> str:
    """One line of a JSON list."""
    return ("" if first else ",") + "\n" + json.dumps(content)
