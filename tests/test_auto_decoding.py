"""Windows where they are faster than whole frames: how it is measured, and that the choice alone decides the masks."""

import copy

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory, decoding
from inference.decoding import chosen_decoding
from model import window_share
from model.convolution.timings import Timings
from model.exported.network import ExportedNetwork
from model.fast import prepare_for_inference
from model.windows import find_windows

CELLS = 2 * (10 * 20)       # of two objects on a grid of 10 x 20
FASTER = {"whole": 9.0, "0.4": 0.1, "0.7": 0.2}
SLOWER = {"whole": 0.1, "0.4": 1.0, "0.7": 2.0}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Every network is large enough; times are kept in a folder of the test. Returns how often times were taken, and
    what they are from now on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(window_share, "MINIMUM", 0)
    taken, times = [], {}

    def measure(network, readout, features):
        taken.append(tuple(readout.shape))
        return times

    monkeypatch.setattr(window_share, "_measure", measure)
    return taken, times


@pytest.fixture
def shares(monkeypatch):
    """The largest share with which windows were looked for, at each frame."""
    used = []

    def find(evidence, largest_share):
        used.append(largest_share)
        return find_windows(evidence, largest_share)

    monkeypatch.setattr(decoding, "find_windows", find)
    return used


def masks(network, decode):
    """Of two objects at stride 16 on a grid of 12 x 16, in three frames."""
    segmenter = VideoSegmenter(network, build_memory("lfu", 2), 2, decode=decode)
    clip = SyntheticClip(seed=3, size=(192, 256), objects=2, length=3)
    return np.stack([segmenter.step(frame, None if index else labels).numpy()
                     for index, (frame, labels) in enumerate(clip)])


def test_windows_where_they_are_faster_as_measured_once(prepared_network, measured, shares):
    taken, times = measured
    times.update(FASTER)
    ours = masks(prepared_network, "auto")
    assert taken == [(2, prepared_network.config.value_dim, 12, 16)]
    assert shares == [1.0, 1.0]
    times.update(SLOWER)
    assert np.array_equal(masks(prepared_network, "auto"), ours)      # the file of the first run decides
    assert shares == [1.0] * 4
    assert len(taken) == 1


def test_whole_frames_where_they_are_faster(prepared_network, measured, shares):
    measured[1].update(SLOWER)
    assert np.array_equal(masks(prepared_network, "auto"), masks(prepared_network, "full"))
    assert shares == [0.0, 0.0]


def test_the_share_lies_where_both_times_meet():
    costs = [2 * window_share.cost_of(window_share._middle(side, 10, 20), 10, 20) for side in window_share.SIDES]
    assert costs == [2 * (8 * 12), 2 * (10 * 18)]       # 4 x 8 and 6 x 14 cells, with two more on each side
    times = {"0.4": 1.0, "0.7": 2.0}                    # 168 cells a second, and a part that windows of any size take

    def share(whole):
        return window_share._share({**times, "whole": whole * window_share.GAIN}, 2, 10, 20)

    assert share(1.5) == pytest.approx((192 + 84) / CELLS)
    assert share(9.0) == 1
    assert share(1e-3) == pytest.approx((192 - 168 * (1 - 1e-3)) / CELLS)
    assert share(-1.0) == 0
    times["0.7"] = 0.5                                  # noise: the larger one is not slower
    assert share(1.5) == 1
    assert share(0.5) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [("MINIMUM", 1e9), ("LEAST", 13)])
def test_whole_frames_where_there_is_little_to_do(prepared_network, measured, monkeypatch, name, value):
    monkeypatch.setattr(window_share, name, value)
    assert np.array_equal(masks(prepared_network, "auto"), masks(prepared_network, "full"))
    assert not measured[0]


def test_times_are_taken_of_the_whole_frame_and_of_windows(prepared_network):
    readout = torch.randn(2, prepared_network.config.value_dim, 6, 8)
    with torch.inference_mode():
        features = prepared_network.encode_key(torch.randn(1, 3, 96, 128))
    seconds = window_share._measure(prepared_network, readout, features)
    assert [*seconds] == ["whole", "0.4", "0.7"]
    assert all(spent > 0 for spent in seconds.values())
    assert Timings(None).get("some", lambda: seconds) == seconds


def test_what_auto_becomes(tiny_network):
    prepared = prepare_for_inference(tiny_network)
    assert chosen_decoding("auto", prepared, plain=False) == "auto"
    assert chosen_decoding("auto", prepared, plain=True) == "full"
    assert chosen_decoding("auto", ExportedNetwork.__new__(ExportedNetwork), plain=False) == "full"
    assert chosen_decoding("auto", copy.deepcopy(prepared).to("meta"), plain=False) == "full"      # not a CPU
    prepared.compiled = True
    assert chosen_decoding("auto", prepared, plain=False) == "full"
    assert chosen_decoding("window", prepared, plain=False) == "window"
    with pytest.raises(ValueError, match=r"decode: expected one of full, window, auto, found 'fast'"):
        chosen_decoding("fast", prepared, plain=False)
