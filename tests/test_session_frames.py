"""Frames by their number: equal to those of a stream, in any order."""

import numpy as np
import pytest

from dataset.errors import DatasetError
from dataset.videofile import open_video
from inference.session.frames import FolderFrames, VideoFileFrames, open_frames
from tests.own_video import FRAMES, make_clip, write_folder, write_masked_video

ORDER = (7, 0, 3, 4, 2, 6, 5, 1, 1, 7)


@pytest.mark.parametrize("block", [1, 3, FRAMES, None])
def test_frames_of_a_video_file_are_those_of_a_stream_in_any_order(tmp_path, block):
    video = write_masked_video(tmp_path, make_clip())
    expected = [frame.image for frame in open_video(video)]
    frames = VideoFileFrames(video, block=block)
    assert len(frames) == FRAMES
    for index in (*ORDER, *range(FRAMES), *reversed(range(FRAMES))):
        np.testing.assert_array_equal(frames[index], expected[index])
    for index in (-1, FRAMES):
        with pytest.raises(IndexError, match=r"clip.mp4: expected a frame from 0 to 7"):
            frames[index]


def test_each_frame_is_decoded_once_forward_and_once_per_block_backward(tmp_path, monkeypatch):
    frames, decoded = VideoFileFrames(write_masked_video(tmp_path, make_clip()), block=4), []
    original = VideoFileFrames._decode
    monkeypatch.setattr(VideoFileFrames, "_decode", lambda self: (
        decoded.append(1) or frame for frame in original(self)))
    frames._reader, frames._held = frames._decode(), []
    for index in range(FRAMES):
        frames[index]
    assert len(decoded) == FRAMES
    for index in reversed(range(FRAMES)):
        frames[index]
    assert len(decoded) == FRAMES + 4                      # the later block is held still


def test_frames_of_a_folder_are_those_of_a_stream_in_any_order(tmp_path):
    folder = write_folder(tmp_path, make_clip())
    expected = [frame.image for frame in open_video(folder)]
    frames = open_frames(folder, excluded=(folder / "frame 10.png",))
    assert isinstance(frames, FolderFrames)
    assert len(frames) == FRAMES - 1
    for index in ORDER[1:-1]:
        np.testing.assert_array_equal(frames[index], expected[index])


def test_a_limit_cuts_off_what_comes_after_it(tmp_path):
    clip = make_clip()
    for source in (write_folder(tmp_path, clip), write_masked_video(tmp_path, clip)):
        assert len(open_frames(source, limit=3)) == 3
        assert len(open_frames(source, limit=100)) == FRAMES


def test_other_sources_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="found none in it"):
        open_frames(tmp_path)
    for source in ("0", "rtsp://host/stream", tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match="expected a folder of images or a video file"):
            open_frames(source)
