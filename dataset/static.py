"""Training clips from still images: augmented copies of one image, usually three (static stage)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from dataset import composites, thin_plate
from dataset.augment import STATIC_FRAME, STATIC_IMAGE, ClipRequest, recolor, static_warps, warp
from dataset.chosen_objects import clear_objects, number_objects
from dataset.errors import DatasetError
from dataset.image_files import UNREADABLE, by_frame_name, list_files_below, list_images
from dataset.label_maps import labels_at_size
from dataset.masks import VOID, labels_in, read_image, read_labels

_SPARE = 2          # further images that are searched for an object to cut out if others have none
_IMAGE_WORDS, _MASK_WORDS = {"image", "images", "img", "imgs", "im"}, {"mask", "masks", "gt"}
_INSTANCE_WORDS = {"instance", "instances"}


@dataclass(frozen=True)
class StaticImages:
    """Image-mask pairs. Made by `read_pairs` or `read_folders`.

    Attributes:
        instances: masks hold object numbers, not one object.
        paste: smallest and largest number of objects of other images that are pasted onto a clip.
    """

    pairs: tuple[tuple[Path, Path], ...]
    instances: bool = False
    paste: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.pairs)

    def clip(self, item: int, request: ClipRequest, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One clip: frames [N, crop, crop, 3] uint8 RGB, labels [N, crop, crop] uint8, 0 to `request.max_objects`.

        Raises DatasetError for files that cannot be read and for a mask of another shape than its image.
        """
        image, mask = self._load(item)
        copies = []
        for matrix in static_warps(mask.shape, request.crop, request.frames, rng):
            shifts = thin_plate.displacement(request.crop, rng) if rng.random() < request.thin_plate else None
            copies.append(warp(image, mask, matrix, request.crop, shifts))
        images, masks = zip(*copies, strict=True)
        if self.paste[1]:
            self._paste_objects(item, images, masks, rng)
        labels = np.stack(masks)
        if self.instances or self.paste[1]:
            labels = number_objects(labels, clear_objects(labels[0]), request.max_objects, rng)
        return np.stack(recolor(images, STATIC_IMAGE, STATIC_FRAME, rng, request.photometric)), labels

    def _load(self, item: int) -> tuple[np.ndarray, np.ndarray]:
        """Image [H, W, 3] and its labels [H, W]."""
        image_path, mask_path = self.pairs[item]
        image = read_image(image_path)
        labels = read_labels(mask_path) if self.instances else read_mask(mask_path)
        return image, labels_at_size(labels, image.shape[:2], mask_path, image_path)

    def _paste_objects(
        self, item: int, frames: Sequence[np.ndarray], labels: Sequence[np.ndarray], rng: np.random.Generator
    ) -> None:
        """Paste objects of other images onto the frames of a clip of image `item`, in place."""
        count = int(rng.integers(self.paste[0], self.paste[1] + 1))
        unused = np.setdiff1d(np.arange(1, VOID), [value for shown in labels for value in labels_in(shown)])
        layers: list[composites.Layer] = []
        for other in rng.permutation(np.delete(np.arange(len(self)), item))[:count + _SPARE if count else 0]:
            if len(layers) == count:
                break
            if (cutout := composites.cut_out(*self._load(other), rng)) is not None:
                number = int(unused[len(layers)])
                layers.append(composites.draw_layer(cutout, number, len(frames[0]), len(frames), rng))
        behind = int(rng.integers(len(layers) + 1))
        for t, (frame, shown) in enumerate(zip(frames, labels, strict=True)):
            composites.composite(frame, shown, layers, behind, t)


def read_pairs(root: Path) -> StaticImages:
    """The pairs of `match_pairs`; raises DatasetError for an image without a mask."""
    return _checked(root, match_pairs(root), "image.jpg + image.png")


def read_folders(root: Path, images: str, masks: str) -> StaticImages:
    """The pairs of `match_folders`; raises DatasetError for an image without a mask."""
    by_frame_name(list_images(root / masks))        # refuses two masks of one name
    return _checked(root, match_folders(root / images, root / masks), f"{images}/*.jpg + {masks}/*.png")


def match_pairs(root: Path) -> list[tuple[Path, Path | None]]:
    """JPEGs at any depth, each with the PNG beside it; None if there is none.

    The PNG of `name.jpg` is `name.png` (ECSSD, class folders of FSS-1000), of `name_im.jpg` `name_gt.png` (BIG).
    """
    masks = {path.with_suffix(""): path for path in list_files_below(root, (".png",))}
    return [
        (image, masks.get(image.with_suffix("")) or masks.get(image.with_name(image.stem.removesuffix("_im") + "_gt")))
        for image in list_files_below(root, (".jpg", ".jpeg"))
    ]


def match_folders(images: Path, masks: Path) -> list[tuple[Path, Path | None]]:
    """Images of one folder and the mask of the same name in another (DUTS, HRSOD); None if there is none."""
    found = {path.stem: path for path in list_images(masks)}
    return [(image, found.get(image.stem)) for image in list_images(images)]


def match_folder_names(root: Path, instances: bool = False) -> list[tuple[Path, Path]]:
    """Folders (images, masks) whose names differ only in that word; `instances`: (images, instance masks).

    Examples: DUTS-TR-Image and DUTS-TR-Mask; HRSOD_train and HRSOD_train_mask; images and instances.
    """
    all_masks = _MASK_WORDS | _INSTANCE_WORDS
    words = {path: re.split("[-_ ]", path.name.lower()) for path in sorted(root.iterdir()) if path.is_dir()}
    names = {path: [word for word in words[path] if word not in _IMAGE_WORDS | all_masks] for path in words}
    masks = [path for path in words if (_INSTANCE_WORDS if instances else _MASK_WORDS).intersection(words[path])]
    images = [path for path in words if not all_masks.intersection(words[path])]
    return [(image, mask) for mask in masks for image in images if names[image] == names[mask]]


def read_mask(path: Path) -> np.ndarray:
    """A mask [H, W] uint8 of 0 and 1, cut at half of its maximum; of a color mask (FSS-1000), the brightest channel.

    Raises DatasetError if it cannot be read.
    """
    return _binary(read_image(path).max(2) if _is_colored(path) else read_labels(path))


def _checked(root: Path, pairs: list[tuple[Path, Path | None]], layout: str) -> StaticImages:
    if not root.is_dir():
        raise DatasetError(f"{root}: expected a folder of images and masks, found none; check the source's root")
    if not pairs:
        raise DatasetError(f"{root}: expected {layout}, found no image; check the source's root and layout")
    complete = []
    for image, mask in pairs:
        if mask is None:
            raise DatasetError(f"{image}: expected a mask ({layout}), found none; add it or remove the image")
        complete.append((image, mask))
    return StaticImages(tuple(complete))


def _binary(mask: np.ndarray) -> np.ndarray:
    """0/1 and 0/255 masks, also anti-aliased ones -> 0 and 1."""
    binary: np.ndarray = (mask > mask.max() / 2).astype(np.uint8)
    return binary


def _is_colored(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return image.mode in ("RGB", "RGBA")
    except UNREADABLE:
        return False        # reading it says what is wrong
