"""Renaming objects: a number is only a name; two objects of one number are one for the caller."""

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.objects import ObjectTable
from tests.pretended_gpu import pretended_gpu
from tests.test_pretended_gpu import assert_equal, run, segmenter_of


@pytest.fixture(scope="module")
def clip():
    clip = SyntheticClip(seed=1, size=(50, 71), length=7, objects=2)
    return [clip.frame(t) for t in range(7)]


def _segmenters(network, count=2, **options):
    return [VideoSegmenter(network, build_memory("lfu", 3, top_k=5), 2, **options) for _ in range(count)]


def _three(labels):
    """Object 2 is cut in two: its right half is object 3."""
    cut = labels.copy()
    columns = np.nonzero(labels == 2)[1]
    cut[:, int(np.median(columns)):][labels[:, int(np.median(columns)):] == 2] = 3
    return cut


def test_a_new_number_changes_no_mask(prepared_network, clip):
    renamed, plain = _segmenters(prepared_network)
    for t, (frame, labels) in enumerate(clip):
        ours, expected = (segmenter.step(frame, labels if t == 0 else None) for segmenter in (renamed, plain))
        if t >= 3:
            assert torch.equal(ours, expected[[0, 2, 1]])
            table = np.array([0, 9, 2], np.uint8)
            assert np.array_equal(renamed.labels(ours), table[plain.labels(expected)])
        if t == 2:
            renamed.rename(1, 9)
            assert renamed.objects == [2, 9]
            assert np.array_equal(renamed.labels(ours), plain.labels(expected))        # of the frame before
    with pytest.raises(ValueError, match=r"frame 7: expected one of the objects \[2, 9\], found 1"):
        renamed.rename(1, 3)
    renamed.rename(2, 2)
    assert renamed.objects == [2, 9]
    for bad in (0, 255):
        with pytest.raises(ValueError, match=f"expected a new number from 1 to 254, found {bad}"):
            renamed.rename(2, bad)


@pytest.mark.parametrize("number", [1, 5])
def test_merged_objects_are_one_whose_probability_is_their_sum(prepared_network, clip, number, tmp_path):
    merged, plain, loaded = _segmenters(prepared_network, 3)
    for t, (frame, labels) in enumerate(clip[:6]):
        given = _three(labels) if t == 0 else None
        ours, expected = merged.step(frame, given), plain.step(frame, given)
        if t == 1:
            merged.rename(3, 2)
            merged.rename(2, number)               # 3 parts of object 1, or 2 of object 5
        if t <= 1:
            continue
        groups = [[0], [1, 2, 3]] if number == 1 else [[0], [1], [2, 3]]
        torch.testing.assert_close(ours, torch.stack([expected[group].sum(0) for group in groups]), rtol=0, atol=1e-6)
        union = np.isin(plain.labels(expected), [2, 3])
        assert (merged.labels(ours)[union] == number).all()
        assert merged.memory.bytes_held == plain.memory.bytes_held
    assert merged.objects == ([1] if number == 1 else [1, 5])
    merged.save(tmp_path / "state.pth")
    loaded.load(tmp_path / "state.pth")
    assert torch.equal(loaded.step(clip[6][0]), merged.step(clip[6][0]))
    merged.forget(number)
    assert merged.memory.empty == (number == 1)


def test_an_annotation_makes_the_parts_one_object(prepared_network, clip):
    merged, = _segmenters(prepared_network, 1)
    for t, (frame, labels) in enumerate(clip[:4]):
        merged.step(frame, _three(labels) if t == 0 else None)
    merged.rename(2, 1)
    frame, labels = clip[4]
    given = labels * (labels == 1)
    merged.freeze()
    probabilities = merged.step(frame, given)                 # a frozen bank keeps the parts
    assert np.array_equal(merged.labels(probabilities) == 1, given == 1)
    assert merged.memory.entries.objects == 3
    merged.freeze(False)
    probabilities = merged.step(frame, given)
    assert np.array_equal(merged.labels(probabilities) == 1, given == 1)
    torch.testing.assert_close(probabilities.sum(0), torch.ones(50, 71))
    assert merged.memory.entries.objects == 2
    assert merged.table.parts == [1, 3]
    assert merged.step(clip[5][0]).shape == (3, 50, 71)
    merged.step(clip[6][0], np.where(labels == 2, 2, 0))      # the number is free again
    assert merged.table.parts == [1, 3, 2]


def test_a_table_of_parts():
    table = ObjectTable([7, 3, 7, 9, 3])
    assert table.objects == [3, 7, 9]
    assert table.places(7) == [0, 2]
    assert table.surplus([9, 3, 7, 100]) == [2, 4]
    planes = torch.arange(6.0)[:, None, None].expand(6, 2, 2)
    assert table.ascending(planes)[:, 0, 0].tolist() == [0, 2 + 5, 1 + 3, 4]


def test_a_gpu_forgets_and_merges_like_a_cpu(one_thread):
    results = []
    for device in ("cpu", "cuda"):
        with pretended_gpu():
            segmenter = segmenter_of("lfu", device=device, objects_at_once=1)
            run(segmenter, range(4))                     # a second object appears in frame 3
            segmenter.forget(1)
            first = run(segmenter, range(4, 6))
            run(segmenter, [3])
            segmenter.rename(2, 1)
            results.append((first, run(segmenter, range(4, 6))))
    for ours, expected in zip(*results, strict=True):
        assert_equal(ours, expected)
