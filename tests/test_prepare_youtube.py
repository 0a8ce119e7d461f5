"""Resizing YouTube-VOS: sizes, alignment, and resuming after an interruption."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from dataset import shrinking
from dataset.check import check
from dataset.masks import PALETTE, read_image, read_labels, write_image, write_labels
from scripts import prepare_youtube
from scripts.prepare_youtube import PARTIAL, main


@pytest.fixture
def source(tmp_path):
    """Two videos of 96 x 128 and one that is small enough, two of their three frames annotated."""
    root = tmp_path / "train"
    for name, scale in (("large", 3), ("other", 3), ("small", 1)):
        frames, masks = root / "JPEGImages" / name, root / "Annotations" / name
        frames.mkdir(parents=True)
        masks.mkdir(parents=True)
        labels = np.kron(scene(), np.ones((scale, scale), np.uint8))
        for number in (0, 5, 10):
            write_image(frames / f"{number:05d}.jpg", np.repeat(labels[..., None] * 100, 3, 2), quality=95)
            if number < 10:
                write_labels(masks / f"{number:05d}.png", labels)
    (root / "meta.json").write_text(json.dumps({"videos": {name: {} for name in ("large", "other", "small")}}))
    return root


def run(source, target, *more):
    main(["--input", str(source), "--output", str(target), "--short-side", "32", "--workers", "2", *more])


def test_frames_and_masks_shrink_together(source, tmp_path):
    target = tmp_path / "train_32"
    run(source, target)
    frame, mask = (target / kind / "large" / name
                   for kind, name in (("JPEGImages", "00000.jpg"), ("Annotations", "00000.png")))
    assert np.array_equal(read_labels(mask), scene())
    assert np.abs(read_image(frame)[..., 0].astype(int) - 100 * scene()).max() < 25      # JPEG
    with Image.open(mask) as image:
        assert image.mode == "P"
        assert image.getpalette()[:9] == PALETTE[:3].ravel().tolist()
    for kind, name in (("JPEGImages", "00005.jpg"), ("Annotations", "00005.png")):
        assert (target / kind / "small" / name).read_bytes() == (source / kind / "small" / name).read_bytes()
    assert (target / "meta.json").read_text() == (source / "meta.json").read_text()
    report = check(target)
    assert (report.counts, report.findings) == ({"videos": 3, "frames": 9, "masks": 6, "objects": 6}, [])
    assert not (target / PARTIAL).exists()


def test_a_run_resumes_where_it_stopped(source, tmp_path, monkeypatch, capsys):
    target = tmp_path / "train_32"
    write = shrinking.write_labels

    def killed(path, labels):
        if "other" in path.parts:
            raise KeyboardInterrupt
        write(path, labels)

    monkeypatch.setattr(shrinking, "write_labels", killed)
    with pytest.raises(SystemExit, match="130"):
        run(source, target, "--workers", "1")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "interrupted; run the same command again: finished videos are kept")
    assert not any((target / kind / "other").exists() for kind in ("JPEGImages", "Annotations"))
    monkeypatch.undo()
    shutil.rmtree(target / "Annotations/large")     # as if stopped between its two folders
    stamp = (target / "JPEGImages/large/00000.jpg").stat().st_ino
    run(source, target)
    assert (target / "JPEGImages/large/00000.jpg").stat().st_ino != stamp
    assert check(target).findings == []
    monkeypatch.setattr(prepare_youtube, "_prepare_video", None)    # nothing is left to do
    run(source, target)
    assert "0 videos written, 3 were there already" in capsys.readouterr().out


def test_a_mask_a_pixel_narrower_gets_the_size_of_its_frame(source, tmp_path):
    mask = source / "Annotations/large/00005.png"
    write_labels(mask, read_labels(mask)[:, :-1])
    run(source, tmp_path / "out")
    assert read_labels(tmp_path / "out/Annotations/large/00005.png").shape == scene().shape


def test_errors_are_one_line(source, tmp_path, capsys):
    def refused(message, target=tmp_path / "out", *more):
        with pytest.raises(SystemExit, match="2"):
            run(source, target, *more)
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: ")
        assert message in error

    refused("found the same", source)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    refused("found other files", tmp_path / "full")
    refused("at least 1", tmp_path / "out", "--short-side", "0")
    frame = source / "JPEGImages/large/00005.jpg"
    content = frame.read_bytes()
    frame.write_bytes(content[:len(content) // 2])
    refused("large/00005.jpg: expected a readable image")
    frame.write_bytes(content)
    mask = source / "Annotations/large/00005.png"
    labels = read_labels(mask)
    write_labels(mask, labels[:, :50])
    refused("large/00005.png: expected the shape of its frame, found 50x96")
    write_labels(mask, labels)
    refused("expected files of short side 40, found files of 32", tmp_path / "out", "--short-side", "40")
    frame.unlink()
    refused("00005.png: expected a frame 00005")
    shutil.rmtree(source / "Annotations/small")
    refused("small: expected a folder like the one in JPEGImages, found none")
    shutil.rmtree(source / "Annotations")
    refused("expected the Annotations of YouTube-VOS")


def scene():
    labels = np.zeros((32, 43), np.uint8)
    labels[8:24, 8:20] = 1
    labels[4:12, 25:40] = 2
    return labels
