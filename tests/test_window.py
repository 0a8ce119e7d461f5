"""Decoding in a window: exact inside, background outside, and rare enough to matter nowhere else."""

import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model import STCN
from model.window import OUTSIDE, Window, windows_of
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
    windowed = network.segment(readout, features, [window, None])
    torch.testing.assert_close(window.crop(windowed[0, 0], 16), window.crop(whole[0, 0], 16), rtol=1e-5, atol=1e-5)
    outside = torch.ones(192, 256, dtype=torch.bool)
    window.crop(outside, 16)[:] = False
    assert (windowed[0, 0][outside] == OUTSIDE).all()
    assert (windowed[0, 1] == OUTSIDE).all()


def test_windows_grow_by_two_cells_and_fall_back_to_the_frame():
    evidence = torch.zeros(3, 20, 30)
    evidence[0, 8, 10] = 0.06
    evidence[1, 2:18, 3:27] = 1
    evidence[2, 5, 5] = 0.04
    assert windows_of(evidence) == [Window(6, 11, 8, 13), Window(0, 20, 0, 30), None]


@pytest.mark.parametrize("late", [None, 3])
def test_a_video_is_segmented_in_windows_with_the_bank_unaware(tiny_network, late):
    clip = SyntheticClip(seed=3, size=(96, 128), objects=2, late=late)
    segmenter = VideoSegmenter(tiny_network, build_memory("lfu", 2), 2, decode="window")
    for t in range(8):
        frame, labels = clip.frame(t)
        given = labels if t in (0, late) else None
        probabilities = segmenter.step(frame, given)
        torch.testing.assert_close(probabilities.sum(0), torch.ones(96, 128))
