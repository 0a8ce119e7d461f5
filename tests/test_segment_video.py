"""scripts/segment_video.py: a user's own video to masks, overlay and cut-outs; what happens when it goes wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dataset.masks import PALETTE, read_labels, write_image, write_labels
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.video.output import VideoOutput
from model import load_network
from scripts import segment_video

pytestmark = pytest.mark.usefixtures("one_thread")
FRAMES, SIZE = 8, (64, 96)


@pytest.fixture(scope="module")
def clip():
    """FRAMES pairs of image and labels; object 2 appears late, at frame 4."""
    return list(SyntheticClip(seed=2, size=SIZE, length=FRAMES, objects=2, late=4))


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    """frames/frame 1.png, ..., frame 10.png: names that are no numbers; the mask first.png beside the folder."""
    return write_folder(tmp_path, clip)


@pytest.fixture
def video(clip, tmp_path) -> Path:
    """clip.mp4, and the masks 00000.png and 00004.png beside it."""
    for index in (0, 4):
        write_labels(tmp_path / f"{index:05d}.png", clip[index][1])
    return write_video(tmp_path / "clip.mp4", [image for image, _ in clip], "mp4v")


def write_folder(root, clip):
    (root / "frames").mkdir()
    for index, (image, _) in enumerate(clip):
        write_image(root / "frames" / f"frame {index + 3}.png", image)
    write_labels(root / "first.png", clip[0][1])
    return root / "frames"


def write_video(path, images, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 12, images[0].shape[1::-1])
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def segment(source, mask, weights, *more, output=None):
    """Run the command; returns its output folder."""
    output = output or Path(source).parent / "out"
    masks = mask if isinstance(mask, list) else [mask]
    segment_video.main([
        "--input", str(source), "--mask", *map(str, masks), "--weights", str(weights), "--output", str(output),
        "--device", "cpu", "--memory-every", "2", "--top-k", "5", *map(str, more),
    ])
    return output


def refused(capsys, words, *arguments, **more):
    """The command ends with exit status 2 and one line that holds `words`."""
    with pytest.raises(SystemExit, match="2"):
        segment(*arguments, **more)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error


def read_video(path):
    capture, images = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        images.append(read[1][..., ::-1])
    return images


# What is written -------------------------------------------------------------------------------------------------


def test_a_folder_gives_the_segmenters_masks_a_video_and_a_record(folder, clip, weights, capsys):
    output = segment(folder, folder.parent / "first.png", weights, "--short-side", 0)
    assert sorted(path.name for path in output.iterdir()) == [".segment_video", "masks", "overlay.mp4", "run.json"]
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


# What is refused -------------------------------------------------------------------------------------------------


def test_what_is_no_video_is_one_line_and_exit_status_2(clip, weights, tmp_path, capsys):
    mask = tmp_path / "first.png"
    write_labels(mask, clip[0][1])
    for name in ("text.txt", "text.mp4"):                  # FFmpeg draws .txt files as a terminal would
        (tmp_path / name).write_text("no video\n" * 100)
        refused(capsys, f"{name}: expected a video", tmp_path / name, mask, weights)
    (tmp_path / "empty").mkdir()
    refused(capsys, "found none in it", tmp_path / "empty", mask, weights)
    refused(capsys, "found nothing there", tmp_path / "nowhere.mp4", mask, weights)
    refused(capsys, "camera 99: expected a camera", "99", mask, weights, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_masks_that_do_not_fit_are_one_line_and_exit_status_2(folder, clip, weights, tmp_path, capsys):
    mask, labels = tmp_path / "first.png", clip[0][1]
    write_labels(mask, np.ones((50, 50), np.uint8))
    refused(capsys, "expected 96x64 pixels, the size of its frame", folder, mask, weights)
    write_labels(mask, np.zeros(SIZE, np.uint8))
    refused(capsys, "expected an object in the first mask", folder, mask, weights)
    refused(capsys, "nowhere.png: expected an image", folder, tmp_path / "nowhere.png", weights)
    write_image(mask, cv2.GaussianBlur(255 * labels, (0, 0), 2))
    refused(capsys, "an anti-aliased mask", folder, mask, weights)
    write_image(tmp_path / "mask.jpg", 255 * labels)
    refused(capsys, "found a JPEG", folder, tmp_path / "mask.jpg", weights)
    write_image(mask, PALETTE[labels])
    refused(capsys, "found mode RGB", folder, mask, weights)
    write_labels(mask, labels)
    refused(capsys, "expected masks named by their frames' numbers", folder, [mask, mask], weights)
    write_labels(tmp_path / "00042.png", labels)
    refused(capsys, "no such frame among its 8", folder, [tmp_path / "00042.png"] * 2, weights)
    assert not (tmp_path / "out").exists()


def test_a_mask_for_a_frame_after_the_end_is_an_error_in_the_end(video, weights, capsys):
    late = video.with_name("00042.png")
    shutil.copy(video.with_name("00004.png"), late)
    refused(capsys, "it ends after frame 00007", video, [video.with_name("00000.png"), late], weights)
    output = video.with_name("out")
    assert len(read_video(output / "overlay.mp4")) == len(list((output / "masks").iterdir())) == FRAMES
    assert not (output / "run.json").exists()


def test_flags_that_cannot_be_are_one_line_and_exit_status_2(folder, weights, tmp_path, capsys, monkeypatch):
    mask = tmp_path / "first.png"
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    refused(capsys, "--show: expected a display", folder, mask, weights, "--show")
    refused(capsys, "--max-frames 0", folder, mask, weights, "--max-frames", 0)
    refused(capsys, "--short-side 3", folder, mask, weights, "--short-side", 3)
    refused(capsys, "nowhere.pth", folder, mask, tmp_path / "nowhere.pth")
    refused(capsys, "found a file", folder, mask, weights, output=mask)
    assert not (tmp_path / "out").exists()


def test_only_what_an_earlier_run_wrote_is_overwritten(folder, weights, tmp_path, capsys):
    mask = tmp_path / "first.png"
    output = segment(folder, mask, weights, "--cutouts")
    (output / "notes.txt").write_text("mine")
    refused(capsys, "give --overwrite", folder, mask, weights)
    refused(capsys, "removes nothing that this run reads", folder, output / "masks/frame 3.png", weights, "--overwrite")
    segment(folder, mask, weights, "--overwrite", "--max-frames", 2)
    assert sorted(path.name for path in output.iterdir()) == [
        ".segment_video", "masks", "notes.txt", "overlay.mp4", "run.json"]
    assert sorted(path.name for path in (output / "masks").iterdir()) == ["frame 3.png", "frame 4.png"]
    write_labels(output / "masks/mine.png", np.zeros(SIZE, np.uint8))
    refused(capsys, "mine.png: expected only files of earlier runs", folder, mask, weights, "--overwrite")
    assert (output / "run.json").exists()


# What is stopped -------------------------------------------------------------------------------------------------


def test_a_damaged_frame_leaves_what_came_before_and_no_record(folder, weights, capsys):
    damaged = folder / "frame 7.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    refused(capsys, "frame 7.png: expected a readable image", folder, folder.parent / "first.png", weights)
    output = folder.parent / "out"
    assert len(read_video(output / "overlay.mp4")) == len(list((output / "masks").iterdir())) == 4
    assert not (output / "run.json").exists()


def test_sigterm_ends_after_the_frame_at_hand(folder, weights, monkeypatch, capsys):
    original = VideoOutput.write
    monkeypatch.setattr(VideoOutput, "write", lambda self, frame, *more: (
        original(self, frame, *more), frame.name == "frame 5" and os.kill(os.getpid(), signal.SIGTERM)))
    with pytest.raises(SystemExit, match="130"):
        segment(folder, folder.parent / "first.png", weights)
    assert "SIGTERM: stopped, 3 frames written" in capsys.readouterr().err


def test_q_in_the_window_ends_and_a_headless_opencv_says_so(folder, weights, monkeypatch, capsys):
    mask, shown, keys = folder.parent / "first.png", [], iter([-1, -1, ord("q")])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: _raise(cv2.error("no windows")))
    refused(capsys, "opencv-python-headless", folder, mask, weights, "--show")
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda _, picture: shown.append(picture.shape))
    monkeypatch.setattr(cv2, "waitKey", lambda _: next(keys))
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: 1.0)
    with pytest.raises(SystemExit, match="130"):
        segment(folder, mask, weights, "--show")
    assert shown == [(*SIZE, 3)] * 3
    assert "window closed: stopped, 3 frames written" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_leaves_a_video_that_plays_and_whole_masks(clip, weights, tmp_path):
    video = write_video(tmp_path / "long.avi", [image for image, _ in clip] * 400)
    write_labels(tmp_path / "first.png", clip[0][1])
    output = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, segment_video.__file__, "--input", video, "--mask", tmp_path / "first.png", "--weights",
         weights, "--output", output, "--device", "cpu"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    patience = time.monotonic() + 300         # a busy machine may take a minute to import PyTorch
    while not (output / "masks/00005.png").exists() and time.monotonic() < patience and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=100)[1].strip().splitlines()[-1]
    assert process.returncode == 130
    masks = sorted((output / "masks").iterdir())
    assert f"SIGINT: stopped, {len(masks)} frames written to {output}" in message
    assert [path.name for path in masks] == [f"{index:05d}.png" for index in range(len(masks))]
    assert {read_labels(path).shape for path in masks} == {SIZE}
    assert len(read_video(output / "overlay.mp4")) == len(masks) >= 6
    assert sorted(path.name for path in output.iterdir()) == [".segment_video", "masks", "overlay.mp4"]


def _raise(error):
    raise error
