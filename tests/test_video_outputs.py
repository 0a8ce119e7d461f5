"""Outputs of a video for other programs, read back: COCO files of RLE and of polygons, and soft masks."""

import errno
import json
import os
import sys

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from dataset.folder import Frame
from dataset.masks import read_labels
from inference.video.options import OutputOptions
from inference.video.output import VideoOutput, kinds_of
from inference.video.output_folder import OutputFolder
from inference.video.outputs.coco import CocoFile
from inference.video.outputs.polygons import Polygons, outlines
from inference.video.outputs.rle import Rle, encode
from inference.video.outputs.soft import Soft, in_16_bits
from inference.video.result import Result
from tests.own_video import make_clip, refused, segment, write_folder

pytestmark = pytest.mark.usefixtures("one_thread")
MASKS = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
SIZE = (13, 21)


def filled(mask):
    """The mask without its holes: the background is what is connected with the border by edges of pixels."""
    around = np.pad(mask.astype(np.uint8), 1)
    cv2.floodFill(around, None, (0, 0), 2, flags=4)
    return (around != 2)[1:-1, 1:-1]


def label_maps():
    """Of one video: nothing; the whole frame; several objects, one with a hole; a single pixel."""
    several = np.zeros(SIZE, np.uint8)
    several[1:8, 2:9], several[3:5, 4:6], several[9:, 12:], several[0, 20] = 1, 0, 2, 7
    pixel = np.zeros(SIZE, np.uint8)
    pixel[12, 20] = 2
    return [np.zeros(SIZE, np.uint8), np.full(SIZE, 7, np.uint8), several, pixel]


def results(maps, objects=(1, 2, 7)):
    for index, labels in enumerate(maps):
        yield Result(Frame(f"frame {index}", np.zeros((*labels.shape, 3), np.uint8), None), labels, list(objects))


def write(kind, root, maps):
    """The file that `kind` writes for these label maps."""
    with VideoOutput(OutputFolder(root), [kind]) as output:
        for result in results(maps):
            output.write(result)
    return root / kind.name


def label_map_of(coco, image):
    """The label map that the annotations of an image make."""
    labels = np.zeros((image["height"], image["width"]), np.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
        labels[coco.annToMask(annotation).astype(bool)] = annotation["category_id"]
    return labels


@given(MASKS)
def test_rle_keeps_every_mask(mask):
    rle = encode(mask)
    assert rle["counts"].isascii()
    assert np.array_equal(coco_mask.decode(json.loads(json.dumps(rle))), mask)


def test_the_rle_file_is_one_that_pycocotools_reads(tmp_path):
    maps = label_maps()
    coco = COCO(write(Rle, tmp_path / "out", maps))
    images = coco.loadImgs(coco.getImgIds())
    assert [image["file_name"] for image in images] == [f"frame {index}.png" for index in range(4)]
    assert {(image["height"], image["width"]) for image in images} == {SIZE}
    assert [(c["id"], c["name"]) for c in coco.loadCats(coco.getCatIds())] == [
        (1, "object 1"), (2, "object 2"), (7, "object 7")]
    for image, labels in zip(images, maps, strict=True):
        assert np.array_equal(label_map_of(coco, image), labels)
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [annotation["id"] for annotation in annotations] == [1, 2, 3, 4, 5]           # none of an empty mask
    assert [annotation["area"] for annotation in annotations] == [273, 45, 36, 1, 1]
    assert annotations[1]["bbox"] == [2.0, 1.0, 7.0, 7.0]
    assert {annotation["iscrowd"] for annotation in annotations} == {0}
    assert sorted(os.listdir(tmp_path / "out")) == [".segment_video", "masks.json"]


def test_no_annotation_is_a_valid_file_too(tmp_path):
    content = json.loads(write(Rle, tmp_path / "out", label_maps()[:1]).read_text())
    assert (content["annotations"], len(content["images"])) == ([], 1)


def test_a_file_grows_while_the_video_runs_and_appears_at_the_end(tmp_path):
    path = tmp_path / "masks.json"
    file, sizes = CocoFile(path), []
    for index in range(3000):
        annotation = {"segmentation": encode(np.eye(3, dtype=bool)), "area": 3, "bbox": [0, 0, 3, 3], "iscrowd": 0}
        file.add(f"{index}.png", (3, 3), [1], {1: annotation})
        sizes.append(file.partial.stat().st_size)
    assert sizes[1000] > 0.9 * sizes[-1] / 3 > 10_000      # no list of annotations is held
    assert os.listdir(tmp_path) == [file.partial.name]     # what a killed process would leave
    file.close()
    assert os.listdir(tmp_path) == ["masks.json"]
    assert len(json.loads(path.read_text())["images"]) == 3000


def test_a_full_disk_leaves_no_file(tmp_path, monkeypatch):
    file = CocoFile(tmp_path / "masks.json")
    monkeypatch.setattr("inference.video.outputs.coco._entry", _full)
    with pytest.raises(OSError, match=r"No space.*masks\.json"):
        file.add("0.png", (3, 3), [1], {})
    monkeypatch.undo()
    file.close()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_run_leaves_is_removed_by_overwrite(tmp_path):
    folder = OutputFolder(tmp_path / "out")
    Rle(folder, 25).write(next(results(label_maps())))
    assert sorted(os.listdir(tmp_path / "out")) == [".masks.json.partial", ".segment_video"]
    OutputFolder(tmp_path / "out", overwrite=True)
    assert os.listdir(tmp_path / "out") == [".segment_video"]


@given(MASKS.filter(np.any))
def test_polygons_lose_nothing_but_holes(mask):
    polygons = outlines(mask)
    rle = coco_mask.merge(coco_mask.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *mask.shape))
    assert np.array_equal(coco_mask.decode(rle), filled(mask))
    drawn = np.zeros([2 * side + 1 for side in mask.shape], np.uint8)      # corners at even places, pixels between
    for polygon in polygons:
        cv2.fillPoly(drawn, [2 * polygon.astype(np.int32)], 1)
    assert np.array_equal(drawn[1::2, 1::2], filled(mask))


def test_polygons_of_a_video_and_a_note_about_its_holes(tmp_path, capsys):
    maps = label_maps()
    coco = COCO(write(Polygons, tmp_path / "out", maps))
    assert "note: 1 masks have holes" in capsys.readouterr().out
    whole = maps[2].copy()
    whole[3:5, 4:6] = 1
    for image, labels in zip(coco.loadImgs(coco.getImgIds()), [*maps[:2], whole, maps[3]], strict=True):
        assert np.array_equal(label_map_of(coco, image), labels)
    annotations = coco.loadAnns(coco.getAnnIds())
    assert [annotation["area"] for annotation in annotations] == [273, 45, 36, 1, 1]     # holes do not count
    assert annotations[0]["segmentation"] == [[0, 0, 0, 13, 21, 13, 21, 0]]
    write(Polygons, tmp_path / "without", maps[:2])
    assert "note" not in capsys.readouterr().out


def test_soft_masks_are_the_probabilities_to_16_bits(tmp_path):
    probabilities = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0)).softmax(0)
    probabilities[:, 0, 0] = torch.tensor([0.0, 0.0, 1.0])
    labels = np.array([0, 4, 9], np.uint8)[probabilities.argmax(0).numpy()]
    frame = Frame("a", np.zeros((*SIZE, 3), np.uint8), None)
    with VideoOutput(OutputFolder(tmp_path), [Soft]) as output:
        output.write(Result(frame, labels, [4, 9], probabilities=probabilities))
    soft = np.stack([_read_16_bits(tmp_path / f"soft/{number}/a.png") for number in (4, 9)])
    assert np.abs(soft / 65535 - probabilities[1:].numpy()).max() <= 0.5 / 65535 + 1e-9
    assert soft[:, 0, 0].tolist() == [0, 65535]
    assert np.array_equal(in_16_bits(probabilities[1:]), soft)


def test_the_command_writes_all_of_it(weights, tmp_path):
    folder = write_folder(tmp_path, make_clip())
    output = segment(folder, tmp_path / "first.png", weights, "--rle", "--polygons", "--soft", "--max-frames", 3)
    coco = COCO(output / "masks.json")
    for image in coco.loadImgs(coco.getImgIds()):
        labels = read_labels(output / "masks" / image["file_name"])
        assert np.array_equal(label_map_of(coco, image), labels)
        soft = _read_16_bits(output / "soft/1" / image["file_name"]).astype(int)
        assert (soft[labels == 1] >= 32767).all()          # one object: more likely than the background
        assert (soft[labels == 0] <= 32768).all()
    assert len(json.loads((output / "polygons.json").read_text())["images"]) == 3
    segment(folder, tmp_path / "first.png", weights, "--overwrite", "--max-frames", 1)
    assert not {"masks.json", "polygons.json", "soft"} & set(os.listdir(output))


def test_without_pycocotools_rle_is_refused_before_anything_is_written(weights, tmp_path, monkeypatch, capsys):
    folder = write_folder(tmp_path, make_clip()[:1])
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    refused(capsys, "pip install pycocotools", folder, tmp_path / "first.png", weights, "--rle")
    assert not (tmp_path / "out").exists()


def test_probabilities_are_kept_only_if_an_output_wants_them(tmp_path):
    for flags, wanted in (({}, False), ({"rle": True, "cutouts": True}, False), ({"soft": True}, True)):
        options = OutputOptions(tmp_path, **flags)
        assert VideoOutput(OutputFolder(tmp_path / str(wanted), True), kinds_of(options)).wants_probabilities == wanted


def _read_16_bits(path):
    with Image.open(path) as image:
        assert image.mode == "I;16"
        return np.asarray(image)


def _full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
