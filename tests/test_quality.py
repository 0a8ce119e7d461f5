"""How good a mask looks: crisp, fuzzy, empty; per object, in any order."""

import math

import numpy as np
import pytest
import torch

from inference import VideoSegmenter, build_memory
from inference.quality import OFFSET, OFFSET_ABSENT, SLOPE, SLOPE_ABSENT, UNCERTAIN, Quality, mask_quality
from inference.views import View, ViewSegmenter

SIZE = (24, 32)


def soft_masks(*objects: np.ndarray) -> torch.Tensor:
    """[1 + objects, H, W] from the objects' own probabilities; the rest is background."""
    masks = torch.from_numpy(np.stack(objects)).float()
    return torch.cat([1 - masks.sum(0, keepdim=True), masks])


def disc(inside: float = 1.0, outside: float = 0.0, softness: float = 0.0, column: int = 10) -> np.ndarray:
    """A disc of radius 6 around (12, column); its edge is `softness` pixels wide."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    distance = 6 - np.hypot(rows - 12, columns - column)
    alpha = (distance > 0) if not softness else 1 / (1 + np.exp(-4 * distance / softness))
    return outside + (inside - outside) * alpha


def random_masks(objects: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1 + objects, *SIZE, generator=generator).mul(3).softmax(0)


def test_a_crisp_mask_is_confident_and_a_fuzzy_one_is_not():
    crisp, soft, fuzzy, faint = (
        mask_quality(soft_masks(mask)) for mask in (disc(), disc(softness=1.5), disc(softness=9), disc(0.55, 0.3)))
    assert crisp.confidence > 0.9
    assert crisp.confidence > soft.confidence > fuzzy.confidence > faint.confidence
    assert crisp.state == soft.state == ["present"]
    assert faint.state == ["uncertain"]
    assert crisp.area == (disc() > 0.5).sum()


def test_a_mask_without_pixels_is_absent_and_less_sure_the_more_of_the_object_is_nearly_seen():
    nothing, hint, almost = (mask_quality(soft_masks(disc(inside))) for inside in (0, 0.1, 0.49))
    assert nothing.state == hint.state == almost.state == ["absent"]
    assert nothing.area == almost.area == 0
    assert nothing.confidence > hint.confidence > almost.confidence
    assert almost.confidence < UNCERTAIN


@pytest.mark.parametrize("probabilities", [
    random_masks(1), random_masks(3), soft_masks(disc(softness=2), disc(0.3, column=24)), soft_masks(disc(0)),
], ids=["one", "three", "present and absent", "absent"])
def test_it_equals_a_loop_over_the_pixels(probabilities):
    quality = mask_quality(probabilities)
    for number in range(1, len(probabilities)):
        area, inside, outside, peak = 0, 0.0, 0.0, 0.0
        for pixel in probabilities.flatten(1).T.tolist():
            if pixel.index(max(pixel)) == number:
                area, inside = area + 1, inside + pixel[number]
            else:
                outside += pixel[number]
            peak = max(peak, pixel[number])
        assert quality.area[number - 1] == area
        assert quality.confidence[number - 1] == pytest.approx(confidence_of(area, inside, outside, peak), abs=1e-5)


def test_another_order_of_objects_is_another_order_of_results():
    probabilities = random_masks(4)
    quality = mask_quality(probabilities)
    order = [2, 0, 3, 1]
    other = mask_quality(probabilities[[0, *(1 + place for place in order)]])
    assert torch.equal(other.area, quality.area[order])
    torch.testing.assert_close(other.confidence, quality.confidence[order])
    assert other.state == [quality.state[place] for place in order]


def test_areas_are_those_of_the_label_map_also_if_labels_are_equally_likely():
    probabilities = torch.full((3, *SIZE), 1 / 3)
    probabilities[:, :8] = torch.tensor([0.0, 0.5, 0.5])[:, None, None]
    assert mask_quality(probabilities).area.tolist() == [8 * SIZE[1], 0]
    probabilities = random_masks(5, seed=1)
    labels = probabilities.max(0).indices
    assert mask_quality(probabilities).area.tolist() == [(labels == number).sum() for number in range(1, 6)]


def test_every_number_is_in_range_and_of_float32():
    for probabilities in (random_masks(3).double(), soft_masks(disc(), disc(column=25)), random_masks(0)):
        quality = mask_quality(probabilities)
        assert quality.area.dtype == quality.confidence.dtype == torch.float32
        assert quality.area.shape == quality.confidence.shape == (len(probabilities) - 1,)
        assert ((quality.confidence >= 0) & (quality.confidence <= 1)).all()
        assert quality.cpu().state == quality.state
        assert len(quality.state) == len(probabilities) - 1


def test_a_state_follows_from_area_and_confidence():
    quality = Quality(torch.tensor([0.0, 0.0, 9.0, 9.0]), torch.tensor([0.9, 0.1, UNCERTAIN - 0.01, UNCERTAIN]))
    assert quality.state == ["absent", "absent", "uncertain", "present"]


def test_a_segmenter_gives_it_in_the_order_of_its_objects(prepared_network):
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    labels[2:8, 2:8], labels[10:20, 10:30] = 7, 3
    segmenter = VideoSegmenter(prepared_network, build_memory("lfu"))
    assert segmenter.quality(segmenter.step(frame)).area.shape == (0,)
    assert segmenter.mean_key is None
    given = segmenter.quality(segmenter.step(frame, labels))
    assert segmenter.objects == [3, 7]
    assert given.area.tolist() == [200, 36]
    assert given.state == ["present", "present"]
    key = segmenter.encode(frame).features.key[0]
    torch.testing.assert_close(segmenter.mean_key, key.mean((1, 2)))
    views = ViewSegmenter([VideoSegmenter(prepared_network, build_memory("lfu"))], (View(),))
    assert torch.equal(views.quality(views.step(frame, labels)).confidence, given.confidence)
    assert views.mean_key.shape == segmenter.mean_key.shape


def confidence_of(area: int, inside: float, outside: float, peak: float) -> float:
    """The formula of docs/CONFIDENCE.md."""
    if area:
        expected = min(max(inside / (area + outside), 1e-4), 1 - 1e-4)
        evidence = OFFSET + SLOPE * math.log(expected / (1 - expected))
    else:
        evidence = OFFSET_ABSENT - SLOPE_ABSENT * math.log(max(peak, 1e-4))
    return 1 / (1 + math.exp(-evidence))
