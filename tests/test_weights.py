"""The repository's own weights: found by name, small, and as good on a generated clip as when they were added."""

import numpy as np
import pytest

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.scoring.metrics import region_similarity
from model import load_network
from model.checkpoint import OWN_WEIGHTS

CLIP = {"seed": 1234, "size": (192, 320), "length": 16, "objects": 2}
J, TOLERANCE = 0.950, 0.02       # mean over frames 1 to 15 and both objects, every-5, fp32


def test_the_file_is_small_and_found_by_its_name():
    assert (OWN_WEIGHTS / "compact.pth").stat().st_size < 10e6
    network = load_network("compact")
    assert sum(parameter.numel() for parameter in network.parameters()) == 4_430_700
    assert network.config.mask_channels == 2
    assert network.config.key_backbone == "efficientnet_lite0"


@pytest.mark.slow
def test_its_score_on_a_generated_clip_is_what_it_was():
    clip = SyntheticClip(**CLIP)
    segmenter = VideoSegmenter(load_network("compact"), build_memory("every_k"), precision="fp32")
    _, first = clip.frame(0)
    found, copied = [], []
    for t in range(CLIP["length"]):
        frame, truth = clip.frame(t)
        labels = segmenter.labels(segmenter.step(frame, truth if t == 0 else None))
        if t:
            found += [region_similarity(truth == number, labels == number) for number in (1, 2)]
            copied += [region_similarity(truth == number, first == number) for number in (1, 2)]
    assert np.mean(found) == pytest.approx(J, abs=TOLERANCE)
    assert np.mean(copied) < J - 0.2
