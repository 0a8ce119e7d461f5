"""scripts/segment_video.py: what it refuses, and what is left when it is stopped."""

import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from dataset.masks import PALETTE, read_labels, write_image, write_labels
from inference.video.output import VideoOutput
from scripts import segment_video
from tests.own_video import (
    FRAMES,
    SIZE,
    read_video,
    refused,
    segment,
    write_video,
)

pytestmark = pytest.mark.usefixtures("one_thread")


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
    refused(capsys, "max_frames 0: expected at least 1", folder, mask, weights, "--max-frames", 0)
    refused(capsys, "--short-side 3", folder, mask, weights, "--short-side", 3)
    refused(capsys, "nowhere.pth", folder, mask, tmp_path / "nowhere.pth")
    refused(capsys, "found a file", folder, mask, weights, output=mask)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_only_what_an_earlier_run_wrote_is_overwritten(folder, weights, tmp_path, capsys):
    mask = tmp_path / "first.png"
    output = segment(folder, mask, weights, "--cutouts")
    (output / "notes.txt").write_text("mine")
    refused(capsys, "give --overwrite", folder, mask, weights)
    refused(capsys, "removes nothing that this run reads", folder, output / "masks/frame 3.png", weights, "--overwrite")
    segment(folder, mask, weights, "--overwrite", "--max-frames", 2)
    assert sorted(path.name for path in output.iterdir()) == [
        ".segment_video", "confidence.csv", "masks", "notes.txt", "overlay.mp4", "run.json"]
    assert sorted(path.name for path in (output / "masks").iterdir()) == ["frame 3.png", "frame 4.png"]
    write_labels(output / "masks/mine.png", np.zeros(SIZE, np.uint8))
    refused(capsys, "mine.png: expected only files of earlier runs", folder, mask, weights, "--overwrite")
    assert (output / "run.json").exists()


def test_a_damaged_frame_leaves_what_came_before_and_no_record(folder, weights, capsys):
    damaged = folder / "frame 7.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    refused(capsys, "frame 7.png: expected a readable image", folder, folder.parent / "first.png", weights)
    output = folder.parent / "out"
    assert len(read_video(output / "overlay.mp4")) == len(list((output / "masks").iterdir())) == 4
    assert not (output / "run.json").exists()


def test_sigterm_ends_after_the_frame_at_hand(folder, weights, monkeypatch, capsys):
    original = VideoOutput.write
    monkeypatch.setattr(VideoOutput, "write", lambda self, result: (
        original(self, result), result.frame.name == "frame 5" and os.kill(os.getpid(), signal.SIGTERM)))
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
    assert sorted(path.name for path in output.iterdir()) == [
        ".segment_video", "confidence.csv", "masks", "overlay.mp4"]


def _raise(error):
    raise error
