"""Segmenting through one or several views of each frame, shrunk or mirrored, whose probabilities are averaged.

Each view has a VideoSegmenter and a memory bank of its own. One view at native size gives exactly the masks of its
segmenter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from dataset.masks import labels_in
from inference.options import Options, option
from inference.quality import Quality
from inference.segmenter import VideoSegmenter
from inference.stcn_resize import resized_frame, resized_labels, resized_size
from inference.transfer import Download
from model.convolution.tuned import algorithms_in_use
from model.errors import CheckpointError, ConfigError
from model.geometry import STRIDE


@dataclass(frozen=True)
class View:
    """How a frame is shown to a segmenter."""

    short_side: int = 0       # pixels; larger frames are shrunk to it, smaller ones are not enlarged; 0: native size
    scale: float = 1.0        # applied after that
    flip: bool = False
    resize: Literal["area", "stcn"] = "area"        # stcn: smaller frames are enlarged to the short side as well

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the view of a frame of this size; at least one cell of the network."""
        if self.resize == "stcn":
            return resized_size((height, width), max(round(self.short_side * self.scale), STRIDE))
        shortest = min(height, width)
        factor = self.scale * (min(1.0, self.short_side / shortest) if self.short_side else 1.0)
        height, width = (max(round(side * factor), min(side, STRIDE)) for side in (height, width))
        return height, width


@dataclass(frozen=True)
class ViewOptions(Options):
    """Through which views frames are segmented."""

    short_side: int = option(
        0, "larger frames are shrunk to this short side for the network, masks are enlarged again; 0: native size",
        metavar="PIXELS")
    flip: bool = option(False, "average with the mirrored video (twice the time and memory)", label="flip")
    scales: tuple[float, ...] = option((1.0,), "average over these scales", metavar="X", label="scales {}")
    resize: Literal["area", "stcn"] = option(
        "area", "area: average pixels; stcn: as STCN's code for YouTube-VOS does, by cubic interpolation, and enlarge "
        "frames that are smaller than --short-side", label="resized as by STCN")

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.scales) < 0.1 or max(self.scales) > 10:
            raise ConfigError(f"--scales {[*self.scales]}: expected numbers from 0.1 to 10")
        if self.short_side and self.short_side < STRIDE:
            raise ConfigError(f"--short-side {self.short_side}: expected 0, or at least {STRIDE} pixels")
        if self.resize == "stcn" and not self.short_side:
            raise ConfigError("--resize stcn: expected the short side that frames get, found --short-side 0; give "
                              "--short-side 480")

    @property
    def views(self) -> tuple[View, ...]:
        """Every scale, and mirrored as well with `flip`."""
        mirrored = (False, True) if self.flip else (False,)
        return tuple(View(self.short_side, scale, flipped, self.resize)
                     for scale in self.scales for flipped in mirrored)


class ViewSegmenter:
    """The interface of VideoSegmenter over frames of any size, through `views`.

    Args:
        segmenters: one per view, each with a bank of its own.
        keep_given: annotated frames are permanent in the banks.
    """

    def __init__(
        self, segmenters: Sequence[VideoSegmenter], views: tuple[View, ...] = (View(),), keep_given: bool = False,
    ) -> None:
        self.segmenters, self.views, self.keep_given = list(segmenters), views, keep_given
        if len(self.segmenters) != len(views):
            raise ValueError(f"expected a segmenter for each of {len(views)} views, found {len(self.segmenters)}")

    def reset(self, keep_memory: bool = False) -> None:
        """As VideoSegmenter.reset."""
        for segmenter in self.segmenters:
            segmenter.reset(keep_memory)

    def freeze(self, frozen: bool = True) -> None:
        """As VideoSegmenter.freeze."""
        for segmenter in self.segmenters:
            segmenter.freeze(frozen)

    def forget(self, number: int) -> None:
        """As VideoSegmenter.forget, in every view."""
        for segmenter in self.segmenters:
            segmenter.forget(number)

    def rename(self, number: int, new: int) -> None:
        """As VideoSegmenter.rename, in every view."""
        for segmenter in self.segmenters:
            segmenter.rename(number, new)

    def state(self) -> list[dict[str, Any]]:
        """VideoSegmenter.state of every view."""
        return [segmenter.state() for segmenter in self.segmenters]

    def restore(self, state: list[dict[str, Any]], source: str | Path = "state") -> None:
        """As VideoSegmenter.restore, from a `state()` of the same views."""
        if len(state) != len(self.views):
            raise CheckpointError(f"{source}: expected the state of {len(self.views)} views, found one of {len(state)}"
                                  "; use the same views")
        for segmenter, own in zip(self.segmenters, state, strict=True):
            segmenter.restore(own, source)

    @property
    def objects(self) -> list[int]:
        return self.segmenters[0].objects

    @property
    def frames_held(self) -> float:
        """Entries over the cells of a view's frame, in the first view's bank."""
        return self.segmenters[0].memory.frames_held

    @property
    def bytes_held(self) -> int:
        """Bytes of the entries of all views' banks."""
        return sum(segmenter.memory.bytes_held for segmenter in self.segmenters)

    @property
    def algorithms(self) -> dict[str, int]:
        """Which algorithms the tuned convolutions of the network use; empty if it is not tuned."""
        return algorithms_in_use(self.segmenters[0].network)

    @torch.inference_mode()
    def step(self, frame: np.ndarray, annotation: np.ndarray | None = None) -> Tensor:
        """As VideoSegmenter.step: [1 + objects, H, W] at the frame's own size."""
        if self.keep_given and annotation is not None and annotation.any():
            for segmenter in self.segmenters:
                segmenter.memory.keep(segmenter.frame_index)
        each = (self._step(view, segmenter, frame, annotation)
                for view, segmenter in zip(self.views, self.segmenters, strict=True))
        total = reduce(torch.add, each)
        return total if len(self.views) == 1 else total / len(self.views)

    def skip(self) -> None:
        """Count a frame of the video that is not shown, before the first annotation."""
        for segmenter in self.segmenters:
            segmenter.frame_index += 1

    def learn(self, frame: np.ndarray, annotation: np.ndarray, at: int) -> None:
        """Before a video begins: store its frame number `at` with its annotation, permanently.

        Frames are learned one after another, in the order of the video; all of them come before its frame 0.
        """
        for segmenter in self.segmenters:
            segmenter.memory.keep(at)
            segmenter.frame_index = at
        self.step(frame, annotation)
        for segmenter in self.segmenters:
            segmenter.frame_index, segmenter.last_write = 0, None

    def check_room(self, kept: int) -> None:
        """As MemoryBank.check_room."""
        for segmenter in self.segmenters:
            segmenter.memory.check_room(kept)

    def labels(self, probabilities: Tensor) -> np.ndarray:
        """As VideoSegmenter.labels."""
        return self.segmenters[0].labels(probabilities)

    def download(self, probabilities: Tensor) -> Download:
        """As VideoSegmenter.download."""
        return self.segmenters[0].download(probabilities)

    def quality(self, probabilities: Tensor) -> Quality:
        """As VideoSegmenter.quality."""
        return self.segmenters[0].quality(probabilities)

    @property
    def mean_key(self) -> Tensor | None:
        """VideoSegmenter.mean_key of the first view."""
        return self.segmenters[0].mean_key

    @staticmethod
    def _step(view: View, segmenter: VideoSegmenter, frame: np.ndarray, annotation: np.ndarray | None) -> Tensor:
        """One view's probabilities at the frame's own size."""
        size = frame.shape[:2]
        shown = view.size(*size)
        if view.resize == "stcn":
            picture = _show(resized_frame(frame, shown), shown, view.flip)
            given = None if annotation is None else _show(resized_labels(annotation, shown), shown, view.flip)
        else:
            picture = _show(frame, shown, view.flip, cv2.INTER_AREA if shown[0] < size[0] else cv2.INTER_LINEAR)
            given = None if annotation is None else _show_labels(annotation, shown, view.flip)
        probabilities = segmenter.step(picture, given)
        probabilities = probabilities.flip(-1) if view.flip else probabilities
        if shown != size:
            probabilities = interpolate(probabilities[None], size=size, mode="bilinear", align_corners=False)[0]
        return probabilities


def _show_labels(labels: np.ndarray, size: tuple[int, int], flip: bool) -> np.ndarray:
    """A label map in a view. An object that sampling would lose keeps one pixel: its center, or the nearest pixel that
    is not the last one of another object."""
    shown = _show(labels, size, False, cv2.INTER_NEAREST_EXACT)
    for number in sorted(set(labels_in(labels)) - set(labels_in(shown))):
        center = [np.median(line) + 0.5 for line in np.nonzero(labels == number)]
        row, column = (at * to / of - 0.5 for at, to, of in zip(center, size, labels.shape, strict=True))
        rows, columns = np.nonzero((np.bincount(shown.ravel())[shown] > 1) | (shown == 0))
        nearest = np.argmin((rows - row) ** 2 + (columns - column) ** 2)
        shown[rows[nearest], columns[nearest]] = number
    return np.ascontiguousarray(shown[:, ::-1]) if flip else shown


def _show(
    picture: np.ndarray, size: tuple[int, int], flip: bool, interpolation: int = cv2.INTER_NEAREST
) -> np.ndarray:
    if picture.shape[:2] != size:
        picture = cv2.resize(picture, size[::-1], interpolation=interpolation)
    return np.ascontiguousarray(picture[:, ::-1]) if flip else picture
