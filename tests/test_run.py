"""A run's parts: records are read and compared in one place, frames are read ahead, masks are collected in order."""

import json
import math
import threading
from contextlib import closing
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

from dataset.errors import DatasetError
from dataset.folder import Frame
from dataset.masks import PALETTE, write_labels
from inference.errors import RunError
from inference.run.read_ahead import ReadAhead
from inference.run.record import read_report, read_run, refuse_other_settings, write_json
from inference.run.runner import run_sequence
from inference.run.writer import SequenceWriter


def test_settings_are_compared_as_json_has_them(tmp_path):
    file = tmp_path / "run.json"
    refuse_other_settings(file, {"scales": [1.0, 0.5], "seed": 0}, {"seed": 0, "scales": (1.0, 0.5)}, "choose another")
    for earlier, words in (({"seed": 1}, "expected seed=0 as in this command, found 1; choose another"),
                           ({"seed": 0, "flip": True}, "expected flip=None as in this command, found True")):
        with pytest.raises(RunError, match=f"{file}: {words}"):
            refuse_other_settings(file, earlier, {"seed": 0}, "choose another")


@pytest.mark.parametrize(("text", "words"), [
    (None, "expected the record of a run, found none; is .* a run folder"),
    ("{", "found something else; run the evaluation again"), ("[1]", "found something else"),
    ('{"settings": 3}', "found something else"), ('{"settings": {}}', "found something else"),
])
def test_what_is_no_record_is_a_plain_error(text, words, tmp_path):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(DatasetError, match=rf"run\.json: .*{words}"):
        read_run(tmp_path, ["memory"])
    (tmp_path / "clip.json").write_text(text or "")
    with pytest.raises(DatasetError, match=r"clip\.json: expected the record of a finished sequence"):
        read_report(tmp_path / "clip.json")


def test_floats_that_json_lacks_become_null(tmp_path):
    write_json(tmp_path / "run.json", {"scores": {"J": math.nan}, "frames": [math.inf, 1.5]})
    assert json.loads((tmp_path / "run.json").read_text()) == {"scores": {"J": None}, "frames": [None, 1.5]}


def test_items_are_read_ahead_in_order_and_errors_arrive_after_them():
    def items():
        yield from range(20)
        raise DatasetError("damaged")

    read = []
    with closing(ReadAhead(items(), depth=2)) as ahead:
        read += [next(ahead) for _ in range(20)]
        with pytest.raises(DatasetError, match="damaged"):
            next(ahead)
    assert read == list(range(20))


def test_closing_ends_the_thread():
    before = threading.active_count()
    with closing(ReadAhead(iter(int, 1))) as ahead:          # endless
        assert next(ahead) == 0
        assert threading.active_count() == before + 1
    for thread in threading.enumerate():
        if thread.name == "read ahead":
            thread.join(timeout=10)
    assert threading.active_count() == before


def test_closing_closes_a_generator_too():
    closed = threading.Event()

    def items():
        try:
            yield from range(100)
        finally:
            closed.set()

    with closing(ReadAhead(items())) as ahead:
        assert next(ahead) == 0
        assert not closed.is_set()
    assert closed.wait(timeout=10)


def test_a_mask_is_about_as_small_as_with_the_slowest_compression(tmp_path):
    labels = np.zeros((120, 200), np.uint8)
    for number in range(1, 7):
        cv2.ellipse(labels, (28 * number, 15 * number + 10), (25, 9 + number), 20 * number, 0, 360, number, -1)
    write_labels(tmp_path / "mask.png", labels)
    with Image.open(tmp_path / "mask.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), labels)
        assert mask.mode == "P"
        assert mask.getpalette() == PALETTE.ravel().tolist()
        mask.save(tmp_path / "slow.png", compress_level=9)
    sizes = [(tmp_path / name).stat().st_size for name in ("mask.png", "slow.png")]
    assert sizes[0] < 1.2 * sizes[1]


class Counter:
    """In place of a segmenter: the mask of frame n holds n everywhere."""

    objects, frames_held, bytes_held, algorithms = (1,), 1.0, 8, {}
    taken = 0

    def step(self, image, annotation):
        self.taken += 1
        return np.full(image.shape[:2], self.taken - 1, np.uint8)

    def download(self, probabilities):
        return SimpleNamespace(result=lambda: probabilities)


class Clip(list):
    name = "clip"

    def in_threads(self, threads):
        return iter(self)


def test_every_mask_is_written_once_and_in_order(tmp_path, monkeypatch):
    image, written = np.zeros((2, 3, 3), np.uint8), []
    clip = Clip(Frame(f"{number:05d}", image, None) for number in range(9))
    monkeypatch.setattr(SequenceWriter, "write", lambda self, frame, labels: written.append((frame.name, labels[0, 0])))
    with tqdm(disable=True) as bar:
        report = run_sequence(clip, Counter(), SequenceWriter(tmp_path / "clip"), bar)
        assert written == [(f"{number:05d}", number) for number in range(9)]
        written.clear()
        run_sequence(clip, Counter(), SequenceWriter(tmp_path / "clip"), bar, frozenset({"00003", "00008"}))
    assert written == [("00003", 3), ("00008", 8)]
    assert (report.frames, report.frames_held_mean, report.bytes_held_peak) == (9, 1.0, 8)
