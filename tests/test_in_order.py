"""Several threads read one sequence: its frames come in order, errors in their turn, and no thread stays behind."""

import threading
import time
import warnings

import numpy as np
import pytest

from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.image_files import list_images
from dataset.in_order import in_order
from dataset.masks import write_image, write_labels
from dataset.youtube import YouTubeSequence


def test_results_are_in_order_whichever_is_ready_first():
    calls = []

    def late(item):
        calls.append(item)
        time.sleep(0.01 * (3 - item % 4))         # of four, the last is ready first
        return -item

    assert list(in_order(late, range(12), threads=4)) == [-item for item in range(12)]
    assert sorted(calls) == [*range(12)]


def test_the_threads_work_at_once_and_not_far_ahead():
    together, started = threading.Barrier(3), []

    def meet(item):
        started.append(item)
        together.wait(timeout=10)                 # fails unless three are computed at once
        return item

    results = in_order(meet, range(30), threads=3)
    assert started == []
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert max(started) <= 5
    assert list(results) == [*range(3, 30)]


def test_an_error_comes_in_its_turn_and_ends_the_threads():
    def check(item):
        if item % 10 == 7:
            raise DatasetError(f"item {item}")
        return item

    results = in_order(check, range(30), threads=4)
    assert [next(results) for _ in range(7)] == [*range(7)]
    with pytest.raises(DatasetError, match="item 7"):
        next(results)
    assert list(results) == []
    assert not _threads()


def test_closing_ends_the_threads():
    calls = []
    results = in_order(lambda item: calls.append(item), range(1000), threads=4)
    next(results)
    assert _threads()
    results.close()
    assert not _threads()
    assert len(calls) <= 5


@pytest.fixture
def clip(tmp_path):
    for index in range(12):
        write_image(tmp_path / f"{index}.jpg", np.full((20, 30, 3), 20 * index, np.uint8))
    return tmp_path


@pytest.mark.parametrize("kind", [FolderSequence, YouTubeSequence])
def test_a_sequence_is_the_same_in_threads(kind, clip):
    masks = {str(index): clip / f"masks/{index}.png" for index in (0, 4, 7)}
    for number, path in enumerate(masks.values(), start=1):
        path.parent.mkdir(exist_ok=True)
        labels = np.zeros((20, 30), np.uint8)
        labels[:, : 3 * number] = 1
        labels[:5, 9:20] = number
        write_labels(path, labels)
    sequence = kind("clip", list_images(clip), masks)
    plain, threads = list(sequence), list(sequence.in_threads(3))
    assert [frame.name for frame in threads] == [str(index) for index in range(12)]
    for one, other in zip(plain, threads, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.annotation, other.annotation)       # None is equal to None
    given = [index for index, frame in enumerate(threads) if frame.annotation is not None]
    assert given == [0, 4, 7]
    assert 1 in threads[4].annotation if kind is FolderSequence else 1 not in threads[4].annotation


def test_a_bad_frame_is_reported_in_its_turn(clip):
    write_image(clip / "8.jpg", np.zeros((21, 30, 3), np.uint8))
    (clip / "9.jpg").write_bytes(b"no image")
    write_labels(clip / "5.png", np.ones((40, 60), np.uint8))
    sequence = FolderSequence("clip", list_images(clip)[:5] + [clip / f"{index}.jpg" for index in range(5, 12)],
                              {"5": clip / "5.png"})
    frames, seen = sequence.in_threads(4), []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with pytest.raises(DatasetError, match=r"8\.jpg: expected a frame of 30x20 pixels like 0\.jpg, found 30x21"):
            seen += [frame.name for frame in frames]
    assert [str(one.message).split("/")[-1] for one in said] == [
        "5.png: 60x40 pixels, resized to its frame 5.jpg's 30x20 pixels"]
    assert not _threads()


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("in order")]
