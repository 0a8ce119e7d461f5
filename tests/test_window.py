"""Decoding in a window: exact inside, background outside; and only used if it saves work."""

import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model import STCN
from model.blocks import ResidualBlock
from model.convolution.algorithms import DIRECT
from model.convolution.timings import Timings
from model.convolution.tuned import tune_convolutions
from model.fast import prepare_for_inference
from model.partial_convolution import residual_block_of_parts
from model.window_decoder import OUTSIDE, decode_windows
from model.windows import Window, find_windows, merged
from tests.test_fast import SMALL


def by_winograd(network: STCN) -> STCN:
    """Prepared, its 3x3 convolutions by Winograd however small they are."""
    fast = prepare_for_inference(network)
    timings = Timings(None)
    timings.get = lambda question, _measure: {DIRECT: 1.0} | ({"winograd": 0.1} if "3x3, " in question else {})
    tune_convolutions(fast, timings)
    return fast


PATHS = {"as trained": lambda network: network, "prepared": prepare_for_inference, "by winograd": by_winograd}


@pytest.fixture(params=PATHS)
def network(request, monkeypatch):
    monkeypatch.setattr("model.convolution.tuned.MINIMUM", 0)
    monkeypatch.setattr("model.convolution.winograd.TILES", 30)         # so that some parts share a product, some not
    torch.manual_seed(0)
    return PATHS[request.param](STCN(SMALL).eval())


def compare(network: STCN, windows: list[list[Window]], objects: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits in windows and of the whole frame, [objects, 192, 256]; those inside the windows are equal."""
    with torch.inference_mode():
        features = network.encode_key(torch.randn(1, 3, 192, 256))
        readout = torch.randn(1, objects, 32, 12, 16)
        whole = network.segment(readout, features)[0]
        windowed = decode_windows(network.decoder, readout[0], features, windows)
    for number, several in enumerate(windows):
        for window in several:
            pixels = window.scaled(16)
            torch.testing.assert_close(
                pixels.crop(windowed[number]), pixels.crop(whole[number]), rtol=1e-4, atol=1e-4)
    return windowed, whole


@pytest.mark.parametrize(
    "window", [Window(3, 5, 4, 9), Window(0, 4, 0, 3), Window(9, 12, 12, 16), Window(0, 12, 0, 16)]
)
def test_logits_inside_are_those_of_the_whole_frame(network, window):
    windowed, _ = compare(network, [[window], []], 2)
    collared = window.grown(1, 12, 16).scaled(16)
    outside = torch.ones(192, 256, dtype=torch.bool)
    collared.crop(outside)[:] = False
    assert (windowed[0][outside] == OUTSIDE).all()
    assert (windowed[0][~outside] > OUTSIDE).all()
    assert (windowed[1] == OUTSIDE).all()


@pytest.mark.parametrize("windows", [
    [[Window(2, 5, 2, 5), Window(5, 9, 5, 9)]],                         # a collar never lies over another window
    [[Window(1, 3, 1, 3), Window(9, 11, 12, 15)], [Window(4, 6, 7, 9)], [], [Window(0, 12, 6, 8), Window(3, 4, 0, 1)]],
    [[Window(1, 2, 1, 2)], [Window(10, 12, 14, 16)]],
], ids=["neighbours", "many", "far apart"])
def test_several_windows_are_decoded_together(network, windows):
    compare(network, windows, len(windows))


@pytest.mark.parametrize(
    "part", [Window(3, 12, 4, 13), Window(0, 9, 0, 20), Window(7, 16, 11, 20), Window(0, 16, 0, 20)]
)
@pytest.mark.parametrize("width", [8, 12], ids=["identity", "convolution"])
def test_a_block_of_a_part_of_the_frame_loses_two_pixels_inside_the_frame(part, width):
    torch.manual_seed(0)
    block, x = ResidualBlock(8, width), torch.randn(2, 8, 16, 20)
    edges = part.edges(16, 20)
    whole = part.shrunk(2, edges).crop(block(x))
    (found,) = residual_block_of_parts(block, [part.crop(x)], [edges])
    torch.testing.assert_close(found, whole, rtol=1e-5, atol=1e-5)
    if edges != (1, 1, 1, 1):                              # zeros inside the frame would matter
        assert not torch.allclose(part.crop(block(x)), block(part.crop(x)), rtol=1e-3, atol=1e-3)


def test_an_object_has_a_window_around_each_region_of_evidence():
    evidence = torch.zeros(3, 20, 30)
    evidence[0, 8, 10:12] = torch.tensor([0.03, 0.006])      # faint beside strong
    evidence[0, 8, 28] = 0.03
    evidence[1, 5, 5] = 0.01                                 # faint alone
    evidence[2, 3, 3] = evidence[2, 3, 6] = 1                # one window around both costs less than two
    windows = find_windows(evidence)
    assert windows[:2] == [[Window(8, 9, 10, 12), Window(8, 9, 28, 29)], []]
    assert windows[2] == [Window(3, 4, 3, 7)]


def test_the_whole_frame_is_decoded_where_windows_cover_most_of_it():
    evidence = torch.zeros(1, 20, 30)
    evidence[0, 2:18, 3:27] = 1
    assert find_windows(evidence) is None
    assert find_windows(evidence * 0) == [[]]


@pytest.mark.parametrize("late", [None, 3])
def test_a_video_is_segmented_in_windows_with_the_bank_unaware(tiny_network, late):
    clip = SyntheticClip(seed=3, size=(96, 128), objects=2, late=late)
    segmenter = VideoSegmenter(tiny_network, build_memory("lfu", 2), 2, decode="window")
    for t in range(8):
        frame, labels = clip.frame(t)
        given = labels if t in (0, late) else None
        probabilities = segmenter.step(frame, given)
        torch.testing.assert_close(probabilities.sum(0), torch.ones(96, 128))


def test_windows_are_merged_where_that_is_less_work():
    near, far = [Window(2, 6, 2, 6), Window(2, 6, 8, 12)], [Window(2, 6, 2, 6), Window(14, 18, 22, 26)]
    assert merged(near, 20, 30) == [Window(2, 6, 2, 12)]
    assert merged(far, 20, 30) == far


def test_a_window_contains_what_lies_inside():
    window = Window(2, 6, 3, 9)
    assert window.contains(window)
    assert window.contains(Window(3, 5, 3, 8))
    assert not any(window.contains(other) for other in (
        Window(1, 5, 4, 8), Window(3, 7, 4, 8), Window(3, 5, 2, 8), Window(3, 5, 4, 10)))
