"""scripts/segment_video.py: a user's own video to masks, overlay and cut-outs."""

import json
import shutil
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from dataset.masks import PALETTE, read_labels, write_labels
from inference import VideoSegmenter, build_memory
from model import load_network
from scripts import segment_video
from tests.own_video import FRAMES, SIZE, read_video, segment, write_folder, write_video

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_folder_gives_the_segmenters_masks_a_video_and_a_record(folder, clip, weights, capsys):
    output = segment(folder, folder.parent / "first.png", weights, "--short-side", 0)
    assert sorted(path.name for path in output.iterdir()) == [
        ".segment_video", "confidence.csv", "masks", "overlay.mp4", "run.json"]
    segmenter = VideoSegmenter(load_network(weights), build_memory("lfu", top_k=5), memory_every=2)
    for index, (image, labels) in enumerate(clip):
        expected = segmenter.labels(segmenter.step(image, labels if index == 0 else None))
        with Image.open(output / "masks" / f"frame {index + 3}.png") as mask:
            assert np.array_equal(mask, expected)
            assert np.array_equal(np.array(mask.getpalette()).reshape(-1, 3)[:9], PALETTE[:9])
    run = json.loads((output / "run.json").read_text())
    assert run["settings"]["memory_frames"] == 2
    assert run["totals"]["frames"] == run["totals"]["frames_announced"] == FRAMES
    assert run["totals"]["frames_held_peak"] == 2
    assert "8 frames written" in capsys.readouterr().out


def test_a_video_file_is_segmented_at_its_own_rate_and_late_objects_from_their_mask_on(video, clip, weights):
    output = segment(video, [video.parent / "00004.png", video.parent / "00000.png"], weights)
    masks = [read_labels(output / "masks" / f"{index:05d}.png") for index in range(FRAMES)]
    assert len(list((output / "masks").iterdir())) == FRAMES
    assert not any((mask == 2).any() for mask in masks[:4])
    for index in (0, 4):
        assert np.array_equal(masks[index], clip[index][1])
    overlay = cv2.VideoCapture(str(output / "overlay.mp4"))
    assert overlay.get(cv2.CAP_PROP_FPS) == pytest.approx(12)
    assert len(read_video(output / "overlay.mp4")) == FRAMES


@pytest.mark.parametrize("pyav", [True, False])
def test_overlays_of_odd_sizes_play_with_and_without_pyav(pyav, weights, tmp_path, monkeypatch, capsys):
    image = np.zeros((37, 53, 3), np.uint8)
    image[:, :, 0] = 200
    mask = np.zeros((37, 53), np.uint8)
    mask[5:30, 5:30] = 1
    if pyav:
        av = pytest.importorskip("av")
    else:
        monkeypatch.setitem(sys.modules, "av", None)
    write_folder(tmp_path, [(image, mask)] * 3)
    output = segment(tmp_path / "frames", tmp_path / "first.png", weights)
    shown = read_video(output / "overlay.mp4")
    assert [picture.shape for picture in shown] == [(38, 54, 3)] * 3
    assert abs(shown[0][33:, 36:48].astype(int) - (200, 0, 0)).max() < 20      # right colours outside the object
    assert read_labels(output / "masks/frame 3.png").shape == (37, 53)
    assert ("browsers" in capsys.readouterr().out) == (not pyav)
    if pyav:
        with av.open(str(output / "overlay.mp4")) as container:
            assert container.streams.video[0].codec_context.name == "h264"


def test_cutouts_show_an_object_and_nothing_else(folder, clip, weights):
    output = segment(folder, folder.parent / "first.png", weights, "--cutouts", "--no-overlay", "--max-frames", 3)
    assert not (output / "overlay.mp4").exists()
    assert [path.name for path in (output / "cutouts").iterdir()] == ["1"]
    for index in range(3):
        name = f"frame {index + 3}.png"
        with Image.open(output / "cutouts/1" / name) as picture:
            assert picture.mode == "RGBA"
            pixels = np.asarray(picture)
        inside = read_labels(output / "masks" / name) == 1
        assert np.array_equal(pixels[..., 3], 255 * inside)
        assert np.array_equal(pixels[inside, :3], clip[index][0][inside])
        assert not pixels[~inside].any()


def test_paths_may_have_spaces_and_any_letters(clip, weights, tmp_path):
    root = tmp_path / "мой котёнок 猫"
    root.mkdir()
    write_labels(root / "первая маска.png", clip[0][1])
    source = write_video(root / "кот и 猫.avi", [clip[0][0]])          # one frame is a video too
    output = segment(source, root / "первая маска.png", weights, output=root / "готово 100%")
    assert len(read_video(output / "overlay.mp4")) == len(list((output / "masks").iterdir())) == 1


def test_an_object_of_one_pixel_lives_through_shrinking(folder, weights):
    mask = np.zeros(SIZE, np.uint8)
    mask[10:40, 10:40], mask[51, 71] = 1, 2
    write_labels(folder.parent / "first.png", mask)
    output = segment(folder, folder.parent / "first.png", weights, "--short-side", 32)
    assert json.loads((output / "run.json").read_text())["totals"]["objects"] == 2


def test_a_truncated_video_says_how_much_was_read(clip, weights, tmp_path, capsys):
    whole = write_video(tmp_path / "clip.avi", [image for image, _ in clip]).read_bytes()
    (tmp_path / "clip.avi").write_bytes(whole[: len(whole) // 2])
    write_labels(tmp_path / "first.png", clip[0][1])
    totals = json.loads((segment(tmp_path / "clip.avi", tmp_path / "first.png", weights) / "run.json").read_text())[
        "totals"]
    assert 1 < totals["frames"] < FRAMES == totals["frames_announced"]
    assert f"warning: {tmp_path}/clip.avi: read {totals['frames']} of the {FRAMES} frames" in capsys.readouterr().err


def test_before_the_first_mask_everything_is_background(video, weights):
    masks = [video.parent / "00004.png", video.parent / "00006.png"]
    shutil.copy(*masks)
    output = segment(video, masks, weights)
    shown = [read_labels(output / "masks" / f"{index:05d}.png").any() for index in range(FRAMES)]
    assert shown[:5] == [False] * 4 + [True]
    assert json.loads((output / "run.json").read_text())["totals"]["frames_held_mean"] < 1


def test_the_repositorys_network_is_used_where_none_is_given(folder, weights, tmp_path, monkeypatch, capsys):
    arguments = ["--input", str(folder), "--mask", str(tmp_path / "first.png"), "--output", str(tmp_path / "out")]
    monkeypatch.setattr(segment_video, "COMPACT", tmp_path / "none.pth")
    with pytest.raises(SystemExit, match="2"):
        segment_video.main(arguments)
    assert "give --weights FILE" in capsys.readouterr().err
    monkeypatch.setattr(segment_video, "COMPACT", weights)
    (tmp_path / "flags.yaml").write_text("overlay: false\nmax_frames: 1\n")
    segment_video.main([*arguments, "--config", str(tmp_path / "flags.yaml")])
    assert f"no --weights: using {weights}" in capsys.readouterr().out
    assert not (tmp_path / "out/overlay.mp4").exists()
