"""The data doctor: faults planted one by one, in files and in folders."""

import shutil

import numpy as np
import pytest
from PIL import Image

from dataset.check import check
from dataset.errors import DatasetError
from dataset.label_maps import labels_at_size
from dataset.masks import read_labels, write_image, write_labels
from dataset.static import read_mask
from inference.scoring.davis import score_sequence
from tests.doctor import SIZE, kinds, make_miniature, mask_of, smooth, truncate
from tests.odd_masks import MASKS


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return make_miniature(tmp_path_factory.mktemp("miniature"))


@pytest.fixture
def davis(miniature, tmp_path):
    return shutil.copytree(miniature / "DAVIS", tmp_path / "DAVIS")


@pytest.fixture
def static(miniature, tmp_path):
    return shutil.copytree(miniature / "static", tmp_path / "static")


@pytest.mark.parametrize(("kind", "severity", "number", "fault"), [
    ("unreadable file", "error", 2, lambda frame, mask: truncate(frame)),
    ("unreadable file", "error", 2, lambda frame, mask: truncate(mask)),
    ("unreadable file", "error", 2, lambda frame, mask: mask.write_text("not an image")),
    ("mask without frame", "error", 2, lambda frame, mask: frame.unlink()),
    ("two files of one name", "error", 2, lambda frame, mask: shutil.copy(frame, frame.with_suffix(".png"))),
    ("two files of one name", "error", 2, lambda frame, mask: shutil.copy(mask, mask.with_suffix(".bmp"))),
    ("frames without mask", "warning", 2, lambda frame, mask: mask.unlink()),
    ("RGB mask", "error", 2, lambda frame, mask: Image.open(mask).convert("RGB").save(mask)),
    ("mask of another mode", "error", 2, lambda frame, mask: Image.open(mask).convert("L").convert("LA").save(mask)),
    ("anti-aliased mask", "error", 0, lambda frame, mask: write_image(mask, Image.fromarray(smooth()))),
    ("anti-aliased mask", "warning", 2, lambda frame, mask: write_image(mask, Image.fromarray(smooth()))),
    ("first mask without object", "error", 0, lambda frame, mask: write_labels(mask, mask_of(0))),
    ("empty mask", "warning", 2, lambda frame, mask: write_labels(mask, mask_of(0))),
    ("0/255 mask", "error", 0, lambda frame, mask: write_labels(mask, mask_of(255))),
    ("0/255 mask", "warning", 2, lambda frame, mask: write_labels(mask, mask_of(255))),
    ("mask of another size", "warning", 0, lambda frame, mask: write_labels(mask, np.ones((480, 643), np.uint8))),
    ("mask of another size", "warning", 4, lambda frame, mask: write_labels(mask, np.ones((480, 643), np.uint8))),
    ("mask of another size", "error", 2, lambda frame, mask: write_labels(mask, np.ones((480, 643), np.uint8))),
    ("mask of another size", "error", 2, lambda frame, mask: write_labels(mask, np.ones((48, 60), np.uint8))),
    ("frame of another size", "error", 2, lambda frame, mask: (
        Image.new("RGB", (128, 96)).save(frame), write_labels(mask, np.ones((96, 128), np.uint8)))),
])
def test_a_fault_in_one_file_is_found_and_named(davis, kind, severity, number, fault):
    """What evaluation refuses is an error: of the first mask, of those it scores against, or of the last one."""
    frame, mask = (davis / folder / f"480p/clip-000/{number:05d}.{suffix}"
                   for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")))
    fault(frame, mask)
    report = check(davis)
    assert kinds(report, severity) == {kind: 1}
    assert kinds(report) == {kind: 1}
    (finding,) = report.findings
    assert "clip-000" in finding.file
    assert "\n" not in finding.message
    assert ": expected " in finding.message
    assert ", found " in finding.message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", [2, 4])
@pytest.mark.parametrize("mask", MASKS)
def test_of_masks_to_score_against_the_doctor_reports_what_scoring_refuses(davis, number, mask):
    """The last frame is not scored; training reads it, and refuses what cannot be read or has another shape."""
    masks = davis / "Annotations/480p/clip-000"
    results = shutil.copytree(masks, davis / "results")
    odd = masks / f"{number:05d}.png"
    MASKS[mask](odd)
    try:
        score_sequence({path.stem: path for path in sorted(masks.iterdir())}, results, binary=False)
        scored = True
    except DatasetError:
        scored = False
    try:
        labels_at_size(read_labels(odd), SIZE, odd, odd)
        trained = True
    except DatasetError:
        trained = False
    assert kinds(check(davis), "error").total() == (not (scored and trained))


@pytest.mark.parametrize(("kind", "severity", "fault"), [
    ("empty mask", "error", lambda image, mask: write_labels(mask, mask_of(0))),
    ("anti-aliased mask", "note", lambda image, mask: write_image(mask, Image.fromarray(smooth()))),
    ("RGB mask", "note", lambda image, mask: Image.open(mask).convert("RGB").save(mask)),
    ("RGB mask", "error", lambda image, mask: Image.new("RGB", SIZE[::-1], (9, 90, 200)).save(mask)),
    ("image without mask", "error", lambda image, mask: mask.unlink()),
    ("mask without frame", "warning", lambda image, mask: image.unlink()),
    ("mask of another size", "error", lambda image, mask: write_labels(mask, np.ones((48, 60), np.uint8))),
])
def test_a_fault_in_a_static_set(static, kind, severity, fault):
    fault(static / "00002.jpg", static / "00002.png")
    assert kinds(check(static), "error", "warning", "note") == kinds(check(static), severity) == {kind: 1}


def test_color_masks_of_still_images_are_read(static):
    expected = read_mask(static / "00001.png")
    Image.open(static / "00001.png").convert("RGB").save(static / "00001.png")
    assert np.array_equal(read_mask(static / "00001.png"), expected)
    assert expected.max() == 1


def test_missing_folders_and_lists(davis):
    shutil.rmtree(davis / "Annotations/480p/clip-001")
    shutil.rmtree(davis / "JPEGImages/480p/clip-002")
    shutil.copytree(davis / "JPEGImages/480p/clip-000", davis / "JPEGImages/480p/more")
    report = check(davis)
    assert kinds(report) == {"missing folder": 2}
    assert kinds(report, "note") == {"unlisted sequence": 1}
    shutil.rmtree(davis / "Annotations")
    shutil.rmtree(davis / "ImageSets")
    report = check(davis)
    assert kinds(report) == {"missing folder": 1, "missing list": 1}
    assert str(davis / "Annotations/480p") in [finding.file for finding in report.findings]


def test_first_frame_and_whole_video_without_object(davis):
    (davis / "Annotations/480p/clip-000/00000.png").unlink()
    for mask in (davis / "Annotations/480p/clip-001").iterdir():
        write_labels(mask, mask_of(0))
    errors = kinds(check(davis), "error")
    assert errors == {"first frame without mask": 1, "first mask without object": 1, "video without object": 1}


def test_fast_reads_headers_only(davis):
    truncate(davis / "JPEGImages/480p/clip-000/00001.jpg")
    write_labels(davis / "Annotations/480p/clip-000/00002.png", mask_of(0))
    write_labels(davis / "Annotations/480p/clip-000/00003.png", np.ones((48, 60), np.uint8))
    assert kinds(check(davis, fast=True)) == {"mask of another size": 1}
