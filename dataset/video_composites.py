"""Videos of several objects made of videos of one: the objects of other videos are pasted onto every frame of a video.

A pasted object keeps its pixels, its outline and its motion; only its place differs, by one horizontal shift per video.
It covers what lies behind it, so objects occlude one another wherever their paths cross.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from dataset.composites import blend
from dataset.davis import davis_sequences, has_full_ground_truth
from dataset.davis_writing import write_davis_clip, write_davis_split
from dataset.errors import DatasetError
from dataset.folder import FolderSequence, Frame
from dataset.masks import VOID, labels_in

_STEP = 8               # pixels between the shifts that are tried
_QUALITY = 95           # of the JPEGs


def compose_davis(
    root: Path, output: Path, videos: int = 2, year: int = 2016, split: str = "val",
    names: Sequence[str] | None = None, progress: bool = True,
) -> None:
    """Write a composite for each sequence of a split, in the layout of DAVIS 2017, as split `val`.

    Args:
        root: DAVIS, with every frame annotated. names: only these sequences. videos: sequences in a composite: one and
            those that follow it in the list, which begins again after its end. The composite has the name of the
            first one and the length of the shortest.

    The same arguments give the same files; the list of the split is written last. Raises DatasetError for fewer
    sequences than `videos`, for a frame without annotation, and for an object that is not seen in the first frame.
    """
    sequences = davis_sequences(root, year, split, names=names)
    for sequence in sequences:
        _check_annotated(sequence)
    if not 2 <= videos <= len(sequences):
        raise DatasetError(f"{root}: expected 2 to {len(sequences)} videos in a composite, as many as there are "
                           f"sequences, found {videos}; give another --videos, or more sequences")
    groups = [[sequences[(first + k) % len(sequences)] for k in range(videos)] for first in range(len(sequences))]
    total = sum(min(map(len, group)) for group in groups)
    with tqdm(total=total, desc="composites", unit="frame", disable=not progress) as bar:
        for group in groups:
            for _ in write_davis_clip(output, group[0].name, compose(group), _QUALITY):
                bar.update()
    write_davis_split(output, "val", [sequence.name for sequence in sequences])


def compose(sequences: Sequence[FolderSequence]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The frames [H, W, 3] and labels [H, W] of a composite, uint8: the objects of all but the first sequence, pasted
    onto the first one in their order. They are numbered in the order of the sequences; sizes are the first one's.

    Their ground truth has to annotate every frame. Raises DatasetError for an object not seen in the first frame.
    """
    sequences = [replace(sequence, annotations=sequence.ground_truth) for sequence in sequences]
    firsts = [sequence.read(0) for sequence in sequences]
    offsets = np.cumsum([0, *(int(_labels(frame).max()) for frame in firsts)])
    if offsets[-1] >= VOID:
        raise DatasetError(f"{sequences[0].name}: expected object numbers below {VOID} in a composite, found "
                           f"{offsets[-1]}; give fewer --videos")
    shifts = _free_shifts(firsts)
    for t in range(min(map(len, sequences))):
        below, *others = (sequence.read(t) for sequence in sequences)
        image, labels = below.image.copy(), _labels(below).copy()
        for frame, shift, offset in zip(others, shifts, offsets[1:], strict=False):
            pasted = _shifted(_labels(frame), shift, labels.shape)
            opacity = cv2.GaussianBlur((pasted > 0) * np.uint8(255), (3, 3), 0)
            blend(image, _shifted(frame.image, shift, labels.shape), opacity)
            np.copyto(labels, pasted + np.uint8(offset), where=pasted > 0)
        if t == 0:
            expected = [number + int(offset) for frame, offset in zip(firsts, offsets, strict=False)
                        for number in labels_in(_labels(frame)) if number]
            _check_first(labels, expected, sequences)
        yield image, labels


def _free_shifts(firsts: Sequence[Frame]) -> list[int]:
    """The shift of each pasted frame with which the most pixels of its objects are in the frame and cover no others."""
    occupied, shifts = _labels(firsts[0]) > 0, []
    for frame in firsts[1:]:
        shift = _free_shift(_labels(frame), occupied)
        occupied |= _shifted(_labels(frame), shift, occupied.shape) > 0
        shifts.append(shift)
    return shifts


def _free_shift(mask: np.ndarray, occupied: np.ndarray) -> int:
    """Of the shifts that serve equally well, the smallest one."""
    def free_pixels(shift: int) -> int:
        return int(np.count_nonzero((_shifted(mask, shift, occupied.shape) > 0) & ~occupied))

    steps = occupied.shape[1] // _STEP
    return max((step * _STEP for step in range(-steps, steps + 1)), key=lambda shift: (free_pixels(shift), -abs(shift)))


def _shifted(image: np.ndarray, shift: int, size: tuple[int, ...]) -> np.ndarray:
    """The image moved by `shift` pixels to the right, on a black image of `size` (H, W)."""
    return cv2.warpAffine(image, np.array([[1.0, 0, shift], [0, 1, 0]]), size[1::-1], flags=cv2.INTER_NEAREST)


def _labels(frame: Frame) -> np.ndarray:
    assert frame.annotation is not None         # the ground truth of every frame is read
    return frame.annotation


def _check_annotated(sequence: FolderSequence) -> None:
    if not has_full_ground_truth(sequence):
        raise DatasetError(f"{sequence.name}: expected an annotation of every frame, found "
                           f"{len(sequence.ground_truth)} for {len(sequence)} frames; take a split whose annotations "
                           "are public")


def _check_first(labels: np.ndarray, expected: list[int], sequences: Sequence[FolderSequence]) -> None:
    if missing := sorted(set(expected) - set(labels_in(labels))):
        raise DatasetError(f"{', '.join(sequence.name for sequence in sequences)}: expected to see {len(expected)} "
                           f"objects in the first frame, found none of number {missing[0]}, which others cover; give "
                           "fewer --videos, or other --sequences")
