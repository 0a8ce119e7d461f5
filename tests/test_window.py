"""Decoding in a window: exact inside, background outside; and only used if it saves work."""

import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model import STCN
from model.blocks import ResidualBlock
from model.partial_convolution import residual_block_of_part
from model.window_decoder import OUTSIDE, decode_windows
from model.windows import Window, find_windows
from tests.test_fast import SMALL


@pytest.mark.parametrize(
    "window", [Window(3, 5, 4, 9), Window(0, 4, 0, 3), Window(9, 12, 12, 16), Window(0, 12, 0, 16)]
)
@torch.inference_mode()
def test_logits_inside_are_those_of_the_whole_frame(window):
    torch.manual_seed(0)
    network = STCN(SMALL).eval()
    features = network.encode_key(torch.randn(1, 3, 192, 256))
    readout = torch.randn(1, 2, 32, 12, 16)
    whole = network.segment(readout, features)
    windowed = decode_windows(network.decoder, readout[0], features, [[window], []])[None]
    pixels, collared = window.scaled(16), window.grown(1, 12, 16).scaled(16)
    torch.testing.assert_close(pixels.crop(windowed[0, 0]), pixels.crop(whole[0, 0]), rtol=1e-5, atol=1e-5)
    outside = torch.ones(192, 256, dtype=torch.bool)
    collared.crop(outside)[:] = False
    assert (windowed[0, 0][outside] == OUTSIDE).all()
    assert (windowed[0, 0][~outside] > OUTSIDE).all()
    assert (windowed[0, 1] == OUTSIDE).all()


def test_a_collar_never_lies_over_another_window():
    torch.manual_seed(0)
    network = STCN(SMALL).eval()
    with torch.inference_mode():
        features = network.encode_key(torch.randn(1, 3, 192, 256))
        readout = torch.randn(1, 1, 32, 12, 16)
        whole = network.segment(readout, features)
        windows = [Window(2, 5, 2, 5), Window(5, 9, 5, 9)]
        windowed = decode_windows(network.decoder, readout[0], features, [windows])[None]
    for window in windows:
        pixels = window.scaled(16)
        torch.testing.assert_close(pixels.crop(windowed[0, 0]), pixels.crop(whole[0, 0]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "part", [Window(3, 12, 4, 13), Window(0, 9, 0, 20), Window(7, 16, 11, 20), Window(0, 16, 0, 20)]
)
@pytest.mark.parametrize("width", [8, 12], ids=["identity", "convolution"])
def test_a_block_of_a_part_of_the_frame_loses_two_pixels_inside_the_frame(part, width):
    torch.manual_seed(0)
    block, x = ResidualBlock(8, width), torch.randn(2, 8, 16, 20)
    edges = part.edges(16, 20)
    whole = part.shrunk(2, edges).crop(block(x))
    torch.testing.assert_close(residual_block_of_part(block, part.crop(x), edges), whole, rtol=1e-5, atol=1e-5)
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
