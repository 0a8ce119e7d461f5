"""The data doctor and evaluation agree on every mask: an error of one is an error of the other, in the same words."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from dataset.check import check
from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.given_masks import GivenMasks
from dataset.masks import write_image, write_labels
from dataset.videofile import open_video
from dataset.youtube import youtube_sequences
from tests.odd_masks import MASKS, SIZE, square

CASES = {       # year of DAVIS (None: YouTube-VOS), and the frame of the odd mask
    "DAVIS 2017": (2017, 0), "DAVIS 2016": (2016, 0), "YouTube-VOS": (None, 0), "YouTube-VOS, later": (None, 1),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(("year", "number"), CASES.values(), ids=CASES)
def test_the_doctor_reports_exactly_what_evaluation_refuses(year, number, mask, tmp_path):
    odd = write_video(tmp_path, year, number)
    odd.unlink(missing_ok=True)
    MASKS[mask](odd)
    read = (lambda: davis_sequences(tmp_path, year)) if year else (lambda: youtube_sequences(tmp_path))
    refusal = refused(lambda: [list(sequence) for sequence in read()])
    found = [finding.message for finding in check(tmp_path, year=year).findings
             if finding.severity == "error" and finding.kind != "video without object"]
    assert found == ([refusal] if refusal else [])


@pytest.mark.parametrize("mask", MASKS)
def test_a_users_own_video_refuses_the_same_masks_except_one_of_0_and_255(mask, tmp_path):
    odd = write_video(tmp_path, 2017, 0)
    MASKS[mask](odd)
    evaluation = refused(lambda: list(davis_sequences(tmp_path)[0]))
    own = refused(lambda: GivenMasks([odd], open_video(tmp_path / "JPEGImages/480p/cat")))
    assert (own is None) == (evaluation is None or mask in ("0/255", "only void", "1 bit"))


def write_video(root: Path, year: int | None, number: int) -> Path:
    """Two frames, the first with a mask; returns the path of the mask of frame `number`."""
    frames, masks = (root / kind / ("480p/cat" if year else "cat") for kind in ("JPEGImages", "Annotations"))
    for name in ("00000", "00001"):
        write_image(_made(frames) / f"{name}.jpg", np.full((*SIZE, 3), 90, np.uint8))
    write_labels(_made(masks) / "00000.png", square())
    if year:
        (_made(root / "ImageSets" / str(year)) / "val.txt").write_text("cat\n")
    return masks / f"{number:05d}.png"


def refused(read) -> str | None:
    """The message with which `read` refuses its input, if it does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read()
        except DatasetError as error:
            return str(error)
    return None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
