"""Training clips from still images: three augmented copies of one image with one object (static stage)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset.augment import STATIC_FRAME, STATIC_IMAGE, recolour, static_warps, warp
from dataset.errors import DatasetError
from dataset.masks import read_image, read_labels

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
FRAMES = 3


@dataclass(frozen=True)
class StaticImages:
    """Image-mask pairs. Made by `read_pairs` or `read_folders`."""

    pairs: tuple[tuple[Path, Path], ...]

    def __len__(self) -> int:
        return len(self.pairs)

    def clip(self, item: int, crop: int, rng: np.random.Generator, **_: object) -> tuple[np.ndarray, np.ndarray]:
        """One clip: frames [3, crop, crop, 3] uint8 RGB, labels [3, crop, crop] uint8 (0 and 1)."""
        image_path, mask_path = self.pairs[item]
        image, mask = read_image(image_path), _binary(read_labels(mask_path))
        if image.shape[:2] != mask.shape:
            raise DatasetError(
                f"{mask_path}: expected the size of its image {image_path.name}, {image.shape[:2]}, "
                f"found {mask.shape}; remove the pair or restore it"
            )
        warps = static_warps(mask.shape, crop, FRAMES, rng)
        images, masks = zip(*(warp(image, mask, matrix, crop) for matrix in warps), strict=True)
        return np.stack(recolour(images, STATIC_IMAGE, STATIC_FRAME, rng)), np.stack(masks)


def read_pairs(root: Path) -> StaticImages:
    """Images with a PNG mask of the same stem beside them, at any depth (ECSSD, FSS-1000's class folders)."""
    masks = {path.with_suffix(""): path for path in sorted(root.rglob("*.png"))}
    images = [path for path in sorted(root.rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES[:2]]
    return _checked(root, [(image, masks.get(image.with_suffix(""))) for image in images], "image.jpg + image.png")


def read_folders(root: Path, images: str, masks: str) -> StaticImages:
    """Images in one folder under `root`, PNG masks of the same stem in another (DUTS, HRSOD)."""
    found = {path.stem: path for path in sorted((root / masks).glob("*.png"))}
    listed = [path for path in sorted((root / images).glob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
    return _checked(root, [(image, found.get(image.stem)) for image in listed], f"{images}/*.jpg + {masks}/*.png")


def _checked(root: Path, pairs: list[tuple[Path, Path | None]], layout: str) -> StaticImages:
    if not root.is_dir():
        raise DatasetError(f"{root}: expected a folder of images and masks, found none; check the source's root")
    if not pairs:
        raise DatasetError(f"{root}: expected {layout}, found no image; check the source's root and layout")
    for image, mask in pairs:
        if mask is None:
            raise DatasetError(f"{image}: expected a mask ({layout}), found none; add it or remove the image")
    return StaticImages(tuple(pairs))


def _binary(mask: np.ndarray) -> np.ndarray:
    """0/1 and 0/255 masks, anti-aliased ones too -> 0 and 1."""
    return (mask > mask.max() / 2).astype(np.uint8)
