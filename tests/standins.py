"""Miniature stand-ins under the names that the documents use, so that their commands run as written."""

import shutil
from pathlib import Path

import cv2
import numpy as np

from dataset.masks import write_labels
from dataset.synthetic import make_davis, make_static, make_youtube
from dataset.synthetic_clip import SyntheticClip
from scripts.prepare_youtube import prepare
from tests.benchmark_data import write_lvos_meta

FRAMES, SIZE = 12, (64, 96)
CODE = ("configs", "dataset", "docs", "inference", "model", "scripts", "weights", "hubconf.py")  # in the root
SEQUENCES = {"train": ["bear"], "val": ["breakdance", "dance-twirl"], "test-dev": ["tennis"]}


def make_standins(root: Path, weights: Path) -> None:
    """DAVIS, YouTube-VOS, data/static, a video of one's own, and `weights` as stcn.pth and earlier.pth."""
    make_miniature_davis(root / "DAVIS")
    make_youtube(root / "YouTube-VOS", {"train": 1, "valid": 1}, FRAMES, SIZE, progress=False)
    shutil.copytree(root / "YouTube-VOS/valid", root / "YouTube-VOS/valid_all_frames")
    make_static(root / "pairs", 2, SIZE, progress=False)
    _make_static(root / "pairs", root / "data/static")
    for copy in ("mine", "data/DAVIS"):
        shutil.copytree(root / "DAVIS", root / copy)
    shutil.copytree(root / "YouTube-VOS", root / "data/YouTube-VOS")
    prepare(root / "data/YouTube-VOS/train", root / "data/YouTube-VOS/train_480p")
    _make_benchmarks(root / "YouTube-VOS/valid_ground_truth/Annotations", root / "YouTube-VOS/valid", root / "data")
    for name in ("stcn.pth", "earlier.pth"):
        shutil.copyfile(weights, root / name)
    _make_video(root / "cat.mp4", root / "cat_first_frame.png")


def make_miniature_davis(root: Path, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> None:
    """DAVIS of both years, with a few clips under names of its sequences; test-dev has only first masks."""
    make_davis(root, {split: len(names) for split, names in SEQUENCES.items()}, frames, size, progress=False)
    for split, names in SEQUENCES.items():
        file = root / f"ImageSets/2017/{split}.txt"
        for made, name in zip(file.read_text().split(), names, strict=True):
            for kind in ("JPEGImages", "Annotations"):
                (root / kind / "480p" / made).rename(root / kind / "480p" / name)
        file.write_text("\n".join(names) + "\n")
    shutil.copytree(root / "ImageSets/2017", root / "ImageSets/2016")
    for name in SEQUENCES["test-dev"]:
        for mask in sorted((root / "Annotations/480p" / name).iterdir())[1:]:
            mask.unlink()


def _make_benchmarks(truth: Path, split: Path, data: Path) -> None:
    """The trees of LVOS, MOSE, VOST and Long-time Video of docs/DATA.md: a clip whose every fifth frame has masks."""
    for folder in ("LVOS/valid", "MOSE/train", "VOST", "LongVideo"):
        shutil.copytree(truth, data / folder / "Annotations")
        shutil.copytree(split / "JPEGImages", data / folder / "JPEGImages")
    shutil.copytree(split, data / "MOSE/valid")
    (video,) = (path.name for path in truth.iterdir())
    for path in list((data / "LVOS/valid").glob("*/*/*")):
        path.rename(path.with_stem(f"000{path.stem}"))
    write_lvos_meta(data / "LVOS/valid", {video: {1: (0, 10, 3)}})
    (data / "LVOS/unseen_videos.txt").write_text("another\n")
    (data / "VOST/ImageSets").mkdir()
    (data / "VOST/ImageSets/val.txt").write_text(f"{video}\n")


def _make_static(pairs: Path, root: Path) -> None:
    """The layouts of docs/DATA.md."""
    for folder in ("FSS-1000/abacus", "ECSSD", "BIG"):
        shutil.copytree(pairs, root / folder)
    for images, masks in (
        ("DUTS-TR/DUTS-TR-Image", "DUTS-TR/DUTS-TR-Mask"), ("DUTS-TE/DUTS-TE-Image", "DUTS-TE/DUTS-TE-Mask"),
        ("HRSOD/HRSOD_train", "HRSOD/HRSOD_train_mask"), ("CCP/images", "CCP/masks"),
        ("COCO128/images", "COCO128/instances"),
    ):
        for folder, suffix in ((images, ".jpg"), (masks, ".png")):
            (root / folder).mkdir(parents=True)
            for path in pairs.glob(f"*{suffix}"):
                shutil.copy(path, root / folder)
    for path in (root / "COCO128/instances").iterdir():                # object 1 instead of 255, which is void there
        write_labels(path, (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 0).astype(np.uint8))


def _make_video(video: Path, mask: Path) -> None:
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"mp4v"), 25, SIZE[::-1])
    for index, (image, labels) in enumerate(SyntheticClip(seed=0, size=SIZE, length=FRAMES, objects=1)):
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        if index == 0:
            write_labels(mask, labels)
    writer.release()
