"""The keys of whole videos on disk. They depend on the frames alone, so every policy can be replayed over them.

A folder of keys holds `<video>.npz` per finished video and `keys.json`: what the keys depend on, and sizes. The quality
of masks depends on the bank: what is stored is that of the masks that the unbounded bank makes (docs/MEMORY.md).
"""

import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from dataset.davis import has_full_ground_truth
from dataset.errors import DatasetError
from dataset.files import atomic_write
from dataset.folder import FolderSequence, Frame
from dataset.label_maps import labels_at_size
from dataset.masks import VOID, labels_in, read_labels
from inference.run.read_ahead import ReadAhead
from inference.run.record import read_record, refuse_other_settings, write_json
from inference.segmenter import VideoSegmenter
from inference.views import View, ViewSegmenter
from model.cells import cell_means
from model.geometry import padding


@dataclass(frozen=True)
class VideoKeys:
    """What the lab knows of a video."""

    name: str
    keys: np.ndarray       # [T, C_k, h, w] float16
    shares: np.ndarray     # [T, objects, h, w] float16: each object's share of a cell's pixels; [1, ...] without truth
    quality: np.ndarray | None = None      # [T, 3, objects] float32: the fields of FrameQuality; None: not recorded

    def __len__(self) -> int:
        return len(self.keys)


class KeyFolder:
    """The videos of a folder of keys; `settings` is what their keys depend on."""

    def __init__(self, root: Path, settings: dict[str, Any], videos: dict[str, dict[str, Any]] | None = None) -> None:
        self.root, self.settings, self.videos = root, settings, videos or {}

    @classmethod
    def read(cls, root: Path) -> "KeyFolder":
        """Raises DatasetError if there are no keys."""
        content = read_record(
            root / "keys.json", "a folder of keys", ["settings", "videos"],
            missing="make the keys with scripts/policy_lab.py keys", damaged="choose another --keys",
        )
        return cls(root, content["settings"], content["videos"])

    @classmethod
    def open(cls, root: Path, settings: dict[str, Any]) -> "KeyFolder":
        """Resume the folder, or begin one. Raises RunError if it holds keys of other settings."""
        if not (root / "keys.json").exists():
            return cls(root, settings)
        folder = cls.read(root)
        refuse_other_settings(root / "keys.json", folder.settings, settings, "choose another --keys")
        return folder

    def file(self, name: str) -> Path:
        return self.root / f"{name}.npz"

    def finished(self, name: str, with_quality: bool = False) -> bool:
        """Whether there are keys of the video, and the quality of its masks if that is asked for."""
        complete = name in self.videos and (not with_quality or self.has_quality([name]))
        return complete and self.file(name).is_file()

    def has_quality(self, names: Sequence[str]) -> bool:
        """Whether the quality of the masks of all these videos is there; earlier versions did not record it."""
        return all(self.videos[name].get("quality", False) for name in names)

    def add(self, video: VideoKeys) -> None:
        """Write a video's keys; the file appears complete or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"keys": video.keys, "shares": video.shares}
        if video.quality is not None:
            arrays["quality"] = video.quality
        with atomic_write(self.file(video.name)) as partial, open(partial, "wb") as file:
            np.savez(file, **arrays)
        self.videos[video.name] = {
            "frames": len(video), "cells": list(video.keys.shape[2:]), "key_dim": video.keys.shape[1],
            "objects": video.shares.shape[1], "ground_truth": len(video.shares) == len(video),
            "quality": video.quality is not None,
        }
        write_json(self.root / "keys.json", {"settings": self.settings, "videos": self.videos})

    def chosen(self, names: Sequence[str] | None) -> list[str]:
        """The videos named (None: all), in the folder's order; raises DatasetError if one is missing."""
        for name in names or ():
            if name not in self.videos:
                raise DatasetError(f"{self.root / 'keys.json'}: expected the video {name}, found "
                                   f"{', '.join(self.videos)}; make its keys, or leave it out")
        return [name for name in self.videos if names is None or name in names]

    def load(self, name: str) -> VideoKeys:
        """Raises DatasetError if the file is missing or damaged."""
        try:
            with np.load(self.file(name)) as arrays:
                return VideoKeys(name, arrays["keys"], arrays["shares"], arrays.get("quality"))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            raise DatasetError(f"{self.file(name)}: expected the keys of a video, found no file or a damaged one; "
                               "remove it and make the keys again") from None


def encode_videos(
    sequences: Sequence[FolderSequence], segmenter: VideoSegmenter, folder: KeyFolder, short_side: int = 0,
    with_quality: bool = False,
) -> None:
    """Add the keys of every sequence that the folder lacks."""
    done = [sequence for sequence in sequences if folder.finished(sequence.name, with_quality)]
    bar = tqdm(total=sum(map(len, sequences)), initial=sum(map(len, done)), unit="frame", desc="keys",
               dynamic_ncols=True, mininterval=0.5)
    with bar:
        for sequence in sequences:
            if sequence not in done:
                bar.set_postfix_str(sequence.name, refresh=False)
                folder.add(encode_video(sequence, segmenter, short_side, bar=bar, with_quality=with_quality))


def encode_video(
    sequence: FolderSequence, segmenter: VideoSegmenter, short_side: int = 0, dtype: type = np.float16,
    bar: "tqdm[Any] | None" = None, with_quality: bool = False,
) -> VideoKeys:
    """Keys as the segmenter makes them, and the annotations at their resolution.

    The objects are those of the first annotation. with_quality: segment the video, with the segmenter's bank, and keep
    the quality of its masks. Raises DatasetError if the first annotation shows no object, and for a single frame.
    """
    if len(sequence) < 2:
        raise DatasetError(f"{sequence.frames[0]}: expected a video of two frames or more, found only this one; leave "
                           "the sequence out with --sequences")
    truth = has_full_ground_truth(sequence)
    keys: list[np.ndarray] = []
    shares: list[np.ndarray] = []
    quality: list[np.ndarray] = []
    objects: list[int] = []
    segmenter.reset()
    with closing(ReadAhead(sequence)) as frames:
        for index, frame in enumerate(frames):
            native = frame.image.shape[:2]
            size = View(short_side).size(*native)
            if with_quality:
                given = None if index else _first_labels(sequence, frame)
                key, told = _segmented(segmenter, View(short_side), frame.image, given)
                quality.append(told)
            else:
                shrunk = size != native
                image = cv2.resize(frame.image, size[::-1], interpolation=cv2.INTER_AREA) if shrunk else frame.image
                key = segmenter.encode(image).features.key[0]
            keys.append(key.numpy(force=True).astype(dtype))
            if index == 0 or truth:
                labels = _true_labels(sequence, index, native) if index else _first_labels(sequence, frame)
                objects = objects or [number for number in labels_in(labels) if number > 0]
                labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
                shares.append(cell_shares(labels, objects).numpy().astype(np.float16))
            if bar is not None:
                bar.update()
    return VideoKeys(sequence.name, np.stack(keys), np.stack(shares), np.stack(quality) if quality else None)


def _segmented(
    segmenter: VideoSegmenter, view: View, image: np.ndarray, given: np.ndarray | None
) -> tuple[Tensor, np.ndarray]:
    """The key of the next frame of a video, and the quality that a memory policy is told, [3, objects]."""
    segmenter.memory.watched = True
    ViewSegmenter([segmenter], (view,)).step(image, given)
    key, quality = segmenter.key, segmenter.memory.quality
    assert key is not None, "the first frame shows an object"
    assert quality is not None
    return key, torch.stack([quality.area, quality.confidence, quality.box_share]).numpy(force=True)


def cell_shares(labels: np.ndarray, numbers: list[int]) -> Tensor:
    """The share of each cell's pixels that show each object: [H, W] -> [objects, h, w] float32 in [0, 1].

    Padded like frames (docs/METHOD.md).
    """
    masks = torch.from_numpy(np.stack([labels == number for number in numbers])).float()
    return cell_means(pad(masks, padding(labels.shape)))


def _first_labels(sequence: FolderSequence, frame: Frame) -> np.ndarray:
    """The annotation of the first frame, [H, W] uint8; raises DatasetError if it shows no object."""
    if frame.annotation is None or not any(number > 0 for number in labels_in(frame.annotation)):
        raise DatasetError(f"{sequence.frames[0]}: expected an annotation that shows an object, found none; leave the "
                           "sequence out with --sequences")
    return frame.annotation


def _true_labels(sequence: FolderSequence, index: int, size: tuple[int, int]) -> np.ndarray:
    """The ground truth of a frame, [H, W] uint8; void is background."""
    frame = sequence.frames[index]
    path = sequence.ground_truth[frame.stem]
    labels = labels_at_size(read_labels(path), size, path, frame)
    return (labels > 0).astype(np.uint8) if sequence.binary else np.where(labels == VOID, 0, labels).astype(np.uint8)
