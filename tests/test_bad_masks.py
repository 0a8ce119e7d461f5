"""Odd masks: every command refuses the same ones, before anything is segmented."""

import shutil
import warnings

import numpy as np
import pytest
from PIL import Image

from dataset.label_maps import read_label_map
from dataset.masks import PALETTE, read_labels, write_labels
from dataset.youtube import youtube_sequences
from inference import VideoSegmenter, build_memory
from inference.scoring.youtube import score_video
from scripts import score_results
from tests.odd import COMMANDS, davis, own_video, write_clip, youtube
from tests.odd_masks import SIZE, picture, smooth, square

REFUSED = {
    "16 bits": (lambda: Image.fromarray(square().astype(np.uint16) * 300), "found mode I;16; save it as an indexed"),
    "RGB": (lambda: Image.fromarray(PALETTE[square()]), "found mode RGB; save it as an indexed PNG"),
    "RGBA": (lambda: Image.fromarray(PALETTE[square()]).convert("RGBA"), "found mode RGBA; .*docs/VIDEO.md turns"),
    "gray with transparency": (lambda: Image.fromarray(square()).convert("LA"), "found mode LA"),
    "anti-aliased": (lambda: Image.fromarray(smooth()), "expected one value per object, found 8 grays.*export it"),
    "soft": (lambda: Image.fromarray(picture()), "expected one value per object, at most 100, found 192 values"),
    "larger than the frame": (lambda: Image.fromarray(square(size=(96, 64))), "expected 64x48 pixels.*found 64x96"),
}


@pytest.mark.parametrize("run", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(("mask", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_label_map_is_refused(mask, words, run, weights, tmp_path, refused):
    path = write_clip(tmp_path)
    mask().save(path)
    with refused("cat/00000.png: expected", words):
        run(tmp_path, weights)
    assert not list((tmp_path / "out").glob("**/*.png"))


@pytest.mark.parametrize("run", COMMANDS.values(), ids=COMMANDS)
def test_a_jpeg_is_refused(run, weights, tmp_path, refused):
    Image.fromarray(255 * square()).save(write_clip(tmp_path), format="JPEG")
    with refused("cat/00000.png: expected a PNG .* found a JPEG, which blurs them"):
        run(tmp_path, weights)


def test_a_first_mask_without_object(weights, tmp_path, refused, capsys):
    """Refused if only the first mask is given; a warning if objects may appear later."""
    write_labels(write_clip(tmp_path), square(0))
    with refused("cat/00000.png: expected an object in the first mask, found only 0", "leave the sequence out"):
        davis(tmp_path, weights)
    with refused("cat/00000.png: expected an object in the first mask, found only 0", "paint the pixels"):
        own_video(tmp_path, weights)
    youtube(tmp_path, weights)
    assert "cat/00000.png: expected an object in the masks of cat, found only 0" in capsys.readouterr().err
    assert not any(read_labels(path).any() for path in (tmp_path / "out/Annotations/cat").iterdir())


def test_a_mask_of_0_and_255(weights, tmp_path, refused, capsys):
    """One object if it is the only mask of a user's video; void in the evaluations."""
    write_labels(write_clip(tmp_path), square(255))
    with refused("expected object numbers 1 to 254, found only 0 and 255", "write 1 for 255"):
        davis(tmp_path, weights)
    with refused("expected object numbers 1 to 254, found only 0 and 255", "write 1 for 255"):
        youtube(tmp_path, weights)
    shutil.rmtree(tmp_path / "out")
    own_video(tmp_path, weights)
    assert "a mask of 0 and 255 is read as one object, number 1" in capsys.readouterr().err
    assert np.array_equal(read_labels(tmp_path / "out/masks/00000.png"), square(1))


def test_numbers_of_255_and_above_are_no_objects(tiny_network):
    segmenter = VideoSegmenter(tiny_network, build_memory("lfu"))
    for number, found in ((255, "0 to 255"), (300, "0 to 300"), (-1, "-1 to 0")):
        with pytest.raises(ValueError, match=f"frame 0: expected labels 0 to 254, found {found}"):
            segmenter.step(np.zeros((*SIZE, 3), np.uint8), np.where(square() == 1, number, 0))


@pytest.mark.parametrize("run", COMMANDS.values(), ids=COMMANDS)
def test_of_an_indexed_mask_the_numbers_count_and_not_the_colors(run, weights, tmp_path):
    path = write_clip(tmp_path)
    mask = Image.fromarray(square(3))
    mask.putpalette(np.roll(PALETTE, 7, axis=0).tobytes())
    mask.save(path)
    run(tmp_path, weights)
    written = next((tmp_path / "out").glob("**/00000.png"))
    assert np.array_equal(read_labels(written), square(3))
    with Image.open(written) as image:
        assert image.getpalette()[:30] == PALETTE[:10].ravel().tolist()


@pytest.mark.parametrize("run", COMMANDS.values(), ids=COMMANDS)
def test_a_mask_twice_as_large_is_shrunk_with_a_warning(run, weights, tmp_path, capsys):
    write_labels(write_clip(tmp_path), square(size=(96, 128)))
    run(tmp_path, weights)
    assert "cat/00000.png: 128x96 pixels, resized to its frame" in capsys.readouterr().err
    assert np.array_equal(read_labels(next((tmp_path / "out").glob("**/00000.png"))), square())


@pytest.mark.parametrize("labels", [square(1), square(200), square(255), smooth() // 128, picture() // 2 // 10],
                         ids=["one", "high", "void", "cut", "several"])
def test_proper_label_maps_are_read_in_silence(labels, tmp_path):
    write_labels(tmp_path / "mask.png", labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(read_label_map(tmp_path / "mask.png"), labels)


def test_ground_truth_of_grays_is_not_scored_as_dozens_of_objects(tmp_path, capsys):
    for kind in ("truth", "results"):
        (tmp_path / kind / "cat").mkdir(parents=True)
        for index in range(3):
            write_labels(tmp_path / kind / f"cat/{index:05d}.png", square())
    write_labels(tmp_path / "truth/cat/00000.png", smooth())
    arguments = ["--annotations", str(tmp_path / "truth"), "--results", str(tmp_path / "results")]
    with pytest.raises(SystemExit, match="2"):
        score_results.main([*arguments, "--year", "2017"])
    assert "truth/cat/00000.png: expected one value per object, found 8 grays" in capsys.readouterr().err
    truths = {path.stem: path for path in sorted((tmp_path / "truth/cat").iterdir())}
    with pytest.raises(ValueError, match="found 8 grays"):
        score_video("cat", truths, tmp_path / "results/cat", {})


def test_objects_that_begin_later_give_no_warning(tmp_path):
    write_labels(write_clip(tmp_path), square(0))
    write_labels(tmp_path / "DAVIS/Annotations/480p/cat/00001.png", square(2))
    (video,) = youtube_sequences(tmp_path / "YouTube")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [frame.annotation is not None for frame in video] == [False, True, False]
