"""Views: shrunk, mirrored and scaled versions of a frame, averaged at its own size."""

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.views import View, ViewOptions, ViewSegmenter


def segment(network, views, flipped=False):
    clip = SyntheticClip(seed=4, size=(60, 90), objects=2)
    segmenter = ViewSegmenter([VideoSegmenter(network, build_memory("lfu"), 2) for _ in views], views)
    results = []
    for t in range(4):
        frame, labels = (np.ascontiguousarray(x[:, ::-1]) if flipped else x for x in clip.frame(t))
        results.append(segmenter.step(frame, labels if t == 0 else None))
    return torch.stack(results), segmenter


def test_one_view_at_native_size_is_the_segmenter_itself(prepared_network):
    clip = SyntheticClip(seed=4, size=(60, 90), objects=2)
    plain = VideoSegmenter(prepared_network, build_memory("lfu"), 2)
    results, _ = segment(prepared_network, ViewOptions().views)
    for t in range(4):
        frame, labels = clip.frame(t)
        assert torch.equal(results[t], plain.step(frame, labels if t == 0 else None))


def test_mirroring_the_video_mirrors_the_average_of_both_views(prepared_network):
    views = ViewOptions(flip=True).views
    straight, mirrored = segment(prepared_network, views)[0], segment(prepared_network, views, flipped=True)[0]
    torch.testing.assert_close(straight, mirrored.flip(-1), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("view", "size"),
    [
        (View(), (1080, 1920)), (View(short_side=480), (480, 853)), (View(short_side=480, scale=1.5), (720, 1280)),
        (View(short_side=2000), (1080, 1920)), (View(scale=0.5), (540, 960)), (View(scale=0.01), (16, 19)),
    ],
)
def test_sizes(view, size):
    assert view.size(1080, 1920) == size


def test_an_object_that_shrinking_would_lose_keeps_a_pixel(prepared_network):
    labels = np.zeros((60, 90), np.uint8)
    labels[10:40, 10:40], labels[51, 71] = 1, 2
    frame = SyntheticClip(seed=4, size=(60, 90)).frame(0)[0]
    views = ViewOptions(flip=True, scales=(1.0, 0.4)).views
    segmenter = ViewSegmenter([VideoSegmenter(prepared_network, build_memory("lfu")) for _ in views], views)
    probabilities = segmenter.step(frame, labels)
    assert segmenter.objects == [1, 2]
    assert [view.objects for view in segmenter.segmenters] == [[1, 2]] * 4
    torch.testing.assert_close(probabilities.sum(0), torch.ones(60, 90))


def test_lost_objects_that_lie_side_by_side_keep_a_pixel_each(prepared_network):
    labels = np.zeros((60, 90), np.uint8)
    labels[0, [0, 1, 2, 3, 4]] = 3, 9, 1, 7, 8
    views = ViewOptions(flip=True, scales=(1.0, 0.3)).views
    segmenter = ViewSegmenter([VideoSegmenter(prepared_network, build_memory("lfu")) for _ in views], views)
    segmenter.step(np.zeros((60, 90, 3), np.uint8), labels)
    assert [view.objects for view in segmenter.segmenters] == [[1, 3, 7, 8, 9]] * 4


def test_probabilities_come_back_at_the_frames_size_and_sum_to_one(prepared_network):
    results, segmenter = segment(prepared_network, ViewOptions(48, True, (1.0, 1.5)).views)
    assert results.shape == (4, 3, 60, 90)
    torch.testing.assert_close(results.sum(1), torch.ones(4, 60, 90))
    assert segmenter.bytes_held == sum(s.memory.bytes_held for s in segmenter.segmenters)
