"""Shrinking still images: both layouts, alignment, binary masks, and resuming after an interruption."""

import numpy as np
import pytest

from dataset import shrinking
from dataset.check import check
from dataset.masks import read_image, read_labels, write_image
from dataset.static import read_folders, read_mask, read_pairs
from scripts import prepare_static
from scripts.prepare_static import main

SCENE = np.zeros((32, 43), np.uint8)
SCENE[8:24, 8:20] = 1


def write_pair(image, mask, scale, white=255):
    labels = np.kron(SCENE, np.ones((scale, scale), np.uint8))
    for path, picture in ((image, np.repeat(labels[..., None] * 200, 3, 2)), (mask, labels * white)):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, picture)


@pytest.fixture
def big(tmp_path):
    """Pairs as in BIG, one of them small enough, in a folder within a folder."""
    root = tmp_path / "BIG"
    for name, scale in (("a", 3), ("b", 4), ("c", 1)):
        white = 1 if name == "b" else 255
        write_pair(root / f"BIG_val/{name}_im.jpg", root / f"BIG_val/{name}_gt.png", scale, white)
    return root


def run(source, target, *more):
    main(["--input", str(source), "--output", str(target), "--short-side", "32", "--workers", "1", *more])


def test_images_and_masks_shrink_together(big, tmp_path):
    run(big, tmp_path / "small")
    pairs = read_pairs(tmp_path / "small").pairs
    assert [image.name for image, _ in pairs] == ["a_im.jpg", "b_im.jpg", "c_im.jpg"]
    for image, mask in pairs:
        assert np.array_equal(read_mask(mask), SCENE)
        assert np.abs(read_image(image)[..., 0].astype(int) - 200 * SCENE).max() < 60          # JPEG
    assert [sorted(set(read_labels(mask).ravel().tolist())) for _, mask in pairs] == [[0, 1], [0, 1], [0, 255]]
    for name in ("c_im.jpg", "c_gt.png"):
        assert (tmp_path / "small/BIG_val" / name).read_bytes() == (big / "BIG_val" / name).read_bytes()
    assert check(tmp_path / "small").findings == []


def test_smooth_edges_are_cut_before_they_are_resized(tmp_path):
    write_pair(tmp_path / "set/x.jpg", tmp_path / "set/x.png", 2)
    smooth = np.kron(SCENE, np.ones((2, 2), np.uint8)) * 255
    smooth[15, 16:40], smooth[48, 16:40] = 100, 100                # outside the object; below half
    write_image(tmp_path / "set/x.png", smooth)
    run(tmp_path / "set", tmp_path / "small")
    assert np.array_equal(read_labels(tmp_path / "small/x.png"), SCENE)


def test_two_folders_keep_their_names(tmp_path):
    root = tmp_path / "HRSOD"
    for name in ("1", "2"):
        write_pair(root / f"HRSOD_train/{name}.png", root / f"HRSOD_train_mask/{name}.png", 2)
    run(root, tmp_path / "small")
    pairs = read_folders(tmp_path / "small", "HRSOD_train", "HRSOD_train_mask").pairs
    assert [(image.name, mask.name) for image, mask in pairs] == [("1.jpg", "1.png"), ("2.jpg", "2.png")]
    assert all(np.array_equal(read_mask(mask), SCENE) for _, mask in pairs)


def test_a_run_resumes_where_it_stopped(big, tmp_path, monkeypatch, capsys):
    write = shrinking.write_labels

    def killed(path, labels):
        if path.name == "b_gt.png":                                # its image is there already
            raise KeyboardInterrupt
        write(path, labels)

    monkeypatch.setattr(shrinking, "write_labels", killed)
    with pytest.raises(SystemExit, match="130"):
        run(big, tmp_path / "small")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "interrupted; run the same command again: finished images are kept")
    assert not (tmp_path / "small/BIG_val/b_gt.png").exists()
    monkeypatch.undo()
    run(big, tmp_path / "small")
    assert " 0 were there already" not in capsys.readouterr().out
    assert (tmp_path / "small/BIG_val/b_gt.png").exists()
    monkeypatch.setattr(prepare_static, "_prepare_pair", None)     # nothing is left to do
    run(big, tmp_path / "small")
    assert "0 images written, 3 were there already" in capsys.readouterr().out
    assert len(read_pairs(tmp_path / "small").pairs) == 3


def test_errors_are_one_line(big, tmp_path, refused):
    with refused("none: expected a folder of images and masks, found no such folder"):
        run(tmp_path / "none", tmp_path / "small")
    with refused("found the same"):
        run(big, big)
    run(big, tmp_path / "small")
    with refused("expected files of short side 16, found files of 32"):
        run(big, tmp_path / "small", "--short-side", "16")
    write_image(big / "BIG_val/a_gt.png", np.zeros((96, 60), np.uint8))
    with refused("a_gt.png: expected the shape of its frame, found 60x96"):
        run(big, tmp_path / "other")
    (big / "BIG_val/a_gt.png").unlink()
    with refused("a_im.jpg: expected a mask"):
        run(big, tmp_path / "other")
