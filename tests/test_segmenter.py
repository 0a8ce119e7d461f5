"""VideoSegmenter: what a caller may rely on."""

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory


def segmenter_of(network, memory="lfu", every=2, precision="fp32", **options):
    return VideoSegmenter(network, build_memory(memory, **options), every, precision)


@pytest.fixture(scope="module")
def clip():
    clip = SyntheticClip(seed=1, size=(50, 71), length=8, objects=2)
    return [clip.frame(t) for t in range(8)]


@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("memory", ["every_k", "first_and_latest", "lfu"])
def test_shapes_sums_and_sizes_that_need_padding(tiny_network, clip, memory, precision):
    segmenter = segmenter_of(tiny_network, memory, precision=precision)
    for index, (frame, labels) in enumerate(clip):
        probabilities = segmenter.step(frame, labels if index == 0 else None)
        assert probabilities.shape == (3, 50, 71)
        assert probabilities.dtype == torch.float32
        torch.testing.assert_close(probabilities.sum(0), torch.ones(50, 71))


def test_an_annotated_frame_returns_its_annotation_in_the_callers_numbers(prepared_network, clip):
    frame, labels = clip[0]
    numbers = np.array([0, 200, 7], np.uint8)[labels]
    segmenter = segmenter_of(prepared_network)
    result = segmenter.labels(segmenter.step(frame, numbers))
    assert segmenter.objects == [7, 200]
    np.testing.assert_array_equal(result, numbers)
    assert set(np.unique(segmenter.labels(segmenter.step(clip[1][0])))) <= {0, 7, 200}


def test_before_the_first_annotation_all_is_background_and_nothing_is_stored(prepared_network, clip):
    segmenter = segmenter_of(prepared_network)
    for annotation in (None, np.zeros((50, 71), np.uint8)):
        assert segmenter.step(clip[0][0], annotation).tolist() == torch.ones(1, 50, 71).tolist()
        assert segmenter.memory.frames_held == 0
    assert segmenter.objects == []
    segmenter.step(*clip[0])
    assert segmenter.last_write == 2


def test_a_later_annotation_wins_and_is_always_stored(prepared_network, clip):
    first, second = (clip[i][1] * (clip[i][1] == number) for i, number in ((0, 1), (3, 2)))
    segmenter = segmenter_of(prepared_network, every=100)
    for index in range(3):
        segmenter.step(clip[index][0], first if index == 0 else None)
    labels = segmenter.labels(segmenter.step(clip[3][0], second))
    assert segmenter.last_write == 3
    assert segmenter.objects == [1, 2]
    assert (labels[second == 2] == 2).all()
    assert not (labels[second != 2] == 2).any()


def test_an_annotation_that_repeats_an_object_replaces_it(prepared_network, clip):
    segmenter = segmenter_of(prepared_network)
    segmenter.step(*clip[0])
    moved = np.zeros((50, 71), np.uint8)
    moved[5:15, 5:15] = 1
    labels = segmenter.labels(segmenter.step(clip[1][0], moved))
    np.testing.assert_array_equal(labels == 1, moved == 1)


def test_frames_are_stored_every_k_counting_from_the_last_write(prepared_network, clip):
    segmenter = segmenter_of(prepared_network, "every_k", every=3)
    writes = []
    for index, (frame, labels) in enumerate(clip):
        segmenter.step(frame, labels if index in (0, 1) else None)
        writes += [index] if segmenter.last_write == index else []
    assert writes == [0, 1, 4, 7]


def test_values_are_encoded_only_for_frames_that_are_kept(prepared_network, clip, monkeypatch):
    encoded = []
    original = type(prepared_network).encode_value
    monkeypatch.setattr(type(prepared_network), "encode_value", lambda *a: encoded.append(1) or original(*a))
    segmenter = segmenter_of(prepared_network, every=4)
    for index, (frame, labels) in enumerate(clip):
        segmenter.step(frame, labels if index == 0 else None)
    assert len(encoded) == 2


def test_reset_makes_a_fresh_start(prepared_network, clip):
    segmenter = segmenter_of(prepared_network)
    runs = []
    for _ in range(2):
        segmenter.reset()
        runs.append([segmenter.step(f, a if i == 0 else None) for i, (f, a) in enumerate(clip)])
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first, second)


def test_bad_frames_and_annotations_are_refused_with_what_was_expected(prepared_network, clip):
    segmenter = segmenter_of(prepared_network)
    frame, labels = clip[0]
    for bad in (frame[..., :2], frame.astype(np.float32), frame[..., 0]):
        with pytest.raises(ValueError, match="uint8 RGB"):
            segmenter.step(bad)
    with pytest.raises(ValueError, match="expected an annotation of"):
        segmenter.step(frame, labels[:-1])
    with pytest.raises(ValueError, match="labels 0 to 254"):
        segmenter.step(frame, np.full_like(labels, 255))
    segmenter.step(frame, labels)
    with pytest.raises(ValueError, match="video's size"):
        segmenter.step(frame[:-2])
