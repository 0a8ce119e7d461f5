"""scripts/segment_video.py: --direction both and --keep-given."""

import json
import shutil

import numpy as np
import pytest

from dataset.masks import read_labels, write_labels
from dataset.videofile import ImageFolder
from inference import VideoSegmenter, build_memory
from inference.session import Session
from inference.session.frames import open_frames
from inference.views import ViewSegmenter
from model import load_network
from tests.own_video import FRAMES, read_video, refused, segment
from tests.session_segmenter import result_of

pytestmark = pytest.mark.usefixtures("one_thread")


def segmenter_of(weights, frames=2):
    return VideoSegmenter(load_network(weights), build_memory("lfu", frames, top_k=5), memory_every=2)


def expected_of(source, given, weights, held=2, **options):
    session = Session(open_frames(source), lambda: segmenter_of(weights, held), both=True, **options)
    for index, mask in given.items():
        session.give(index, mask)
    return result_of(session)


def masks_in(output, names):
    return [read_labels(output / "masks" / f"{name}.png") for name in names]


def test_a_single_mask_at_any_frame_is_segmented_from_in_both_directions(folder, clip, weights, capsys):
    mask = folder.parent / "frame 8.png"
    write_labels(mask, clip[5][1])
    output = segment(folder, mask, weights, "--direction", "both", "--short-side", 0)
    masks = masks_in(output, [f"frame {index + 3}" for index in range(FRAMES)])
    np.testing.assert_array_equal(masks, expected_of(folder, {5: clip[5][1]}, weights))
    np.testing.assert_array_equal(masks[5], clip[5][1])
    assert masks[0].any()
    assert len(read_video(output / "overlay.mp4")) == FRAMES
    run = json.loads((output / "run.json").read_text())
    assert run["settings"]["direction"] == "both"
    assert run["totals"]["frames"] == FRAMES
    assert "objects 1, 2 at frame frame 8" in capsys.readouterr().out


@pytest.mark.slow
def test_a_video_file_in_both_directions_with_masks_that_stay(video, clip, weights):
    masks = [video.parent / "00004.png", video.parent / "00000.png"]
    output = segment(video, masks, weights, "--direction", "both", "--keep-given", "--memory-frames", 3, "--soft",
                     "--short-side", 0)
    given = {index: clip[index][1] for index in (0, 4)}
    found = masks_in(output, [f"{index:05d}" for index in range(FRAMES)])
    np.testing.assert_array_equal(found, expected_of(video, given, weights, 3, keep_given=True))
    for index in (0, 4):
        np.testing.assert_array_equal(found[index], given[index])
    assert len(list((output / "soft/2").iterdir())) == FRAMES


@pytest.mark.slow
def test_masks_that_stay_forward(video, clip, weights):
    masks = [video.parent / "00004.png", video.parent / "00000.png"]
    output = segment(video, masks, weights, "--keep-given", "--memory-frames", 3, "--short-side", 0)
    segmenter = ViewSegmenter([segmenter_of(weights, 3)], keep_given=True)
    for index, frame in enumerate(open_frames(video)):
        labels = segmenter.labels(segmenter.step(frame, clip[index][1] if index in (0, 4) else None))
        np.testing.assert_array_equal(read_labels(output / "masks" / f"{index:05d}.png"), labels)


@pytest.mark.slow
def test_what_cannot_be_is_one_line_and_exit_status_2(video, folder, clip, weights, capsys, monkeypatch):
    masks = [video.parent / "00004.png", video.parent / "00000.png"]
    refused(capsys, "memory_frames 2: expected at least 3, since the frames of 2 given masks stay", video, masks,
            weights, "--keep-given")
    refused(capsys, "memory_frames 2: expected at least 3", video, masks, weights, "--keep-given", "--direction",
            "both")
    late = video.with_name("00042.png")
    shutil.copy(masks[0], late)
    refused(capsys, "it ends after frame 00007", video, [*masks, late], weights, "--direction", "both",
            output=video.with_name("late"))
    segment(video, [*masks, late], weights, "--direction", "both", "--max-frames", 3, output=video.with_name("cut"))
    assert len(list(video.with_name("cut").glob("masks/*"))) == 3
    monkeypatch.setattr(ImageFolder, "live", True)
    refused(capsys, "--direction both: expected a video file or a folder of images", folder,
            folder.parent / "first.png", weights, "--direction", "both", output=video.with_name("live"))
