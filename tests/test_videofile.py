"""Videos as streams of frames: one at a time, upright, the newest of a camera; and the frames of given masks."""

import itertools
import struct
import threading
import time
import weakref

import cv2
import numpy as np
import pytest

from dataset.errors import DatasetError
from dataset.given_masks import GivenMasks
from dataset.image_files import natural_key
from dataset.masks import write_image, write_labels
from dataset.videofile import open_video

SIZE = (48, 64)


def picture(number):
    """A flat picture whose gray value is its number."""
    return np.full((*SIZE, 3), number % 250, np.uint8)


def write_video(path, frames, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, SIZE[::-1])
    for number in range(frames):
        writer.write(picture(number))
    writer.release()
    return path


def write_folder(folder, *names):
    folder.mkdir()
    for number, name in enumerate(names):
        write_image(folder / name, picture(number))
    return folder


class Camera:
    """Stands in for cv2.VideoCapture: delivers a picture every `period` seconds, whether or not anybody waits."""

    def __init__(self, *_, period=0.01, pictures=60, sizes=(SIZE,), announced=-1):
        self.start, self.period, self.pictures, self.announced = None, period, pictures, announced
        self.sizes, self.count, self.released, self.readers = sizes, 0, False, set()

    def isOpened(self):
        return True

    def get(self, key):
        return self.announced if key == cv2.CAP_PROP_FRAME_COUNT else 0

    def set(self, *_):
        pass

    def read(self):
        self.readers.add(threading.current_thread().name)
        time.sleep(self.period)
        self.count += 1
        size = self.sizes[min(self.count, len(self.sizes)) - 1]
        return (True, np.full((*size, 3), self.count, np.uint8)) if self.count <= self.pictures else (False, None)

    def release(self):
        self.released = True


def test_a_video_is_never_held(tmp_path):
    alive = []
    for index, frame in enumerate(open_video(write_video(tmp_path / "clip.avi", 100))):
        assert frame.name == f"{index:05d}"
        assert frame.image.shape == (*SIZE, 3)
        assert abs(int(frame.image[0, 0, 0]) - index) < 4
        alive = [reference for reference in alive if reference() is not None] + [weakref.ref(frame.image)]
        assert len(alive) <= 3
    assert index == 99


def test_a_video_held_upright_is_upright(tmp_path):
    movie = bytearray(write_video(tmp_path / "clip.mp4", 2, "mp4v").read_bytes())
    matrix = movie.index(b"tkhd") + 44                    # the display matrix of the track's header, version 0
    movie[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(movie)
    assert open_video(tmp_path / "clip.mp4").size == SIZE
    assert open_video(tmp_path / "turned.mp4").size == SIZE[::-1]


def test_folders_are_sorted_as_people_count(tmp_path):
    folder = write_folder(tmp_path / "a", "cat 10.png", "cat 9.jpg", "Cat 11.png", "cat.png")
    assert [frame.name for frame in open_video(folder)] == ["Cat 11", "cat 9", "cat 10", "cat"]
    folder = write_folder(tmp_path / "b", "2.png", "10.png", "mask.png")
    assert open_video(folder, excluded=[folder / "mask.png"]).frame_names == ["2", "10"]
    folder = write_folder(tmp_path / "c", "2.png", "2.jpg")
    with pytest.raises(DatasetError, match="one file per frame name"):
        open_video(folder)


def test_frames_of_another_size_end_a_folder_and_a_stream(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "a", "1.png", "2.png")
    write_image(folder / "3.png", np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DatasetError, match=r"3.png: expected a frame of 64x48 pixels like 1.png, found 10x10"):
        list(open_video(folder))
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera(sizes=(SIZE, (10, 10))))
    with pytest.raises(DatasetError, match="frame 00001: expected a frame of 64x48 pixels"):
        list(open_video("0"))


def test_of_a_camera_the_newest_picture_is_seen(monkeypatch):
    camera = Camera()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    source = open_video("0")
    assert (source.live, source.announced, source.fps, source.name) == (True, None, None, "camera 0")
    seen = []
    frames = iter(source)
    for index, frame in enumerate(itertools.islice(frames, 5)):
        assert frame.name == f"{index:05d}"
        seen.append(int(frame.image[0, 0, 0]))
        time.sleep(0.055)                                  # slower than the camera
    with pytest.warns(UserWarning, match="camera 0: no more pictures come"):
        seen += [int(frame.image[0, 0, 0]) for frame in frames if time.sleep(0.055) is None]
    assert seen[0] == 1
    assert all(later > earlier for earlier, later in itertools.pairwise(seen))
    assert len(seen) < 30                                  # the others are dropped
    assert camera.released


def test_a_camera_is_let_go_when_nobody_looks_any_more(monkeypatch):
    camera = Camera(pictures=10**6)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    frames = iter(open_video("0"))
    next(frames)
    frames.close()
    assert camera.released


def test_passwords_of_streams_are_not_shown_and_files_behind_urls_are_not_live(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera(announced=500))
    source = open_video("rtsp://me:secret@host:554/1")
    assert (source.name, source.live, source.announced) == ("rtsp://host:554/1", False, 500)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: Camera())
    assert open_video("http://host/live").live


@pytest.fixture
def masks(tmp_path):
    """Make masks of the given names, with object 1 in each."""
    def make(*names):
        labels = np.zeros(SIZE, np.uint8)
        labels[:20, :20] = 1
        for name in names:
            write_labels(tmp_path / name, labels)
        return [tmp_path / name for name in names]
    return make


@pytest.mark.parametrize(("frames", "names", "given"), [
    (["a.png", "b.png", "c.png"], ["any.png"], [0]),
    (["a.png", "b.png", "c.png"], ["a.png", "c.png"], [0, 2]),
    (["a.png", "b.png", "c.png"], ["00001.png", "00002.png"], [1, 2]),
    (["1.png", "2.png", "3.png"], ["1.png", "2.png"], [0, 1]),          # names of frames come before their numbers
    (["1.png", "2.png", "3.png"], ["0.png", "2.png"], [0, 2]),
])
def test_which_frame_a_mask_is_given_at(tmp_path, masks, frames, names, given):
    video = open_video(write_folder(tmp_path / "frames", *frames))
    annotated = list(GivenMasks(masks(*names), video).annotate(video))
    assert [index for index, frame in enumerate(annotated) if frame.annotation is not None] == given


def test_masks_may_begin_late_and_end_early(tmp_path, masks):
    video = open_video(write_video(tmp_path / "clip.avi", 6))
    given = GivenMasks(masks("00003.png", "00005.png"), video)
    assert [frame.annotation is not None for frame in given.annotate(video, limit=4)] == [False, False, False, True]


def test_masks_of_0_and_255_void_and_names_that_mislead(tmp_path, masks):
    video = open_video(write_video(tmp_path / "clip.avi", 6))
    alone, = masks("00003.png")
    with pytest.warns(UserWarning, match="its name says frame 00003"):
        GivenMasks([alone], video)
    labels = GivenMasks(masks("mask.png"), video).at(0)
    write_labels(tmp_path / "mask.png", 255 * labels)
    with pytest.warns(UserWarning, match="read as one object, number 1"):
        assert np.array_equal(GivenMasks([tmp_path / "mask.png"], video).at(0), labels)
    write_labels(tmp_path / "0.png", 255 * labels)
    with pytest.raises(DatasetError, match="with several masks the numbers say which object is which"):
        GivenMasks([tmp_path / "0.png", alone], video)
    write_labels(tmp_path / "mask.png", np.where(labels, 7, 255).astype(np.uint8))
    with pytest.warns(UserWarning, match="255 is void"):
        assert np.array_equal(GivenMasks([tmp_path / "mask.png"], video).at(0), 7 * labels)
    with pytest.warns(UserWarning, match="announces 6 frames, 00000 to 00005"):
        GivenMasks(masks("0.png", "42.png"), video)


def test_many_objects_are_a_warning_and_thin_ones_no_error(tmp_path):
    video = open_video(write_video(tmp_path / "clip.avi", 1))
    labels = np.zeros(SIZE, np.uint8)
    labels[:40, :60] = np.kron(np.arange(1, 97).reshape(8, 12), np.ones((5, 5)))
    write_labels(tmp_path / "mask.png", labels)
    with pytest.warns(UserWarning, match="96 objects"):
        assert GivenMasks([tmp_path / "mask.png"], video).at(0).max() == 96
    labels[:] = 0
    labels[10, [10, 20, 30, 40]] = 1, 2, 3, 4
    write_labels(tmp_path / "mask.png", labels)
    assert GivenMasks([tmp_path / "mask.png"], video).at(0).max() == 4
    assert natural_key("frame10.png") == (["frame", 10, ".png"], "frame10.png")
