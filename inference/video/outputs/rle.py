"""masks.json: the masks as a COCO file, run-length encoded. Nothing is lost, and the file is small."""

from typing import Any

import numpy as np

from inference.video.outputs.coco import CocoOutput


class Rle(CocoOutput):
    """Needs pycocotools; `OutputOptions` asks for it."""

    name = "masks.json"

    def segmentation(self, mask: np.ndarray) -> dict[str, Any]:
        return encode(mask)


def encode(mask: np.ndarray) -> dict[str, Any]:
    """A mask [H, W] bool as COCO's compressed RLE: {"size": [H, W], "counts": ASCII}."""
    from pycocotools import mask as coco  # here, because it is optional

    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(map(int, rle["size"])), "counts": rle["counts"].decode("ascii")}
