"""`--resize stcn`: frames and masks are those of the public code's transforms for YouTube-VOS."""

import numpy as np
import pytest
import torch
from torchvision.transforms import Compose, InterpolationMode, Normalize, Resize, ToTensor

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.evaluation import make_segmenter
from inference.memory import MemoryOptions
from inference.runtime import RuntimeOptions
from inference.stcn_resize import resized_frame, resized_labels, resized_size
from inference.views import View, ViewOptions, ViewSegmenter
from model.errors import ConfigError
from model.normalization import IMAGE_MEAN, IMAGE_STD, normalize

FRAME, LABELS = SyntheticClip(seed=4, size=(60, 91), objects=2).frame(0)


@pytest.mark.parametrize("short_side", [48, 60, 96])
def test_frames_are_those_of_the_published_transforms(short_side):
    published = Compose([
        ToTensor(), Normalize(IMAGE_MEAN, IMAGE_STD),
        Resize(short_side, interpolation=InterpolationMode.BICUBIC, antialias=False),
    ])(FRAME)
    size = View(short_side, resize="stcn").size(60, 91)
    assert size == tuple(published.shape[1:])
    ours = normalize(torch.from_numpy(resized_frame(FRAME, size)).permute(2, 0, 1))
    torch.testing.assert_close(ours, published, rtol=0, atol=2e-5)


@pytest.mark.parametrize("short_side", [48, 96])
def test_masks_are_those_of_the_published_transforms(short_side):
    one_hot = torch.from_numpy(np.stack([number == LABELS for number in (1, 2)])).float()
    published = Resize(short_side, interpolation=InterpolationMode.NEAREST)(one_hot)
    ours = resized_labels(LABELS, resized_size(LABELS.shape, short_side))
    assert ours.dtype == LABELS.dtype
    assert (np.stack([ours == number for number in (1, 2)]) == published.numpy()).all()


def test_the_long_side_is_cut_and_frames_of_the_size_stay():
    assert resized_size((1000, 1919), 480) == (480, 921)               # 921.12; a long side of 921.9 is 921 as well
    assert resized_size((1919, 1000), 480) == (921, 480)
    assert (resized_frame(FRAME, (60, 91)) == FRAME).all()


def test_a_view_enlarges_mirrors_and_gives_masks_of_the_frames_size(tiny_network):
    views = ViewOptions(short_side=96, resize="stcn", flip=True)
    assert [view.size(60, 91) for view in views.views] == [(96, 145)] * 2
    segmenter = make_segmenter(tiny_network, RuntimeOptions(device="cpu"), views, MemoryOptions())
    first, again = segmenter.step(FRAME, LABELS), segmenter.step(FRAME)
    assert first.shape == again.shape == (3, 60, 91)
    # at the borders of objects, labels of 96 lines and of 60 differ
    assert (segmenter.labels(first) == LABELS).mean() > 0.95


def test_it_needs_a_short_side():
    with pytest.raises(ConfigError, match="--resize stcn: expected the short side that frames get"):
        ViewOptions(resize="stcn")


def test_only_such_a_segmenter_takes_float_frames(tiny_network):
    with pytest.raises(ValueError, match=r"expected \[H, W, 3\] uint8 RGB, found .* float32"):
        VideoSegmenter(tiny_network, build_memory("lfu")).step(FRAME.astype(np.float32))
    floats = VideoSegmenter(tiny_network, build_memory("lfu"), float_frames=True)
    with pytest.raises(ValueError, match=r"expected .* float32 RGB, found .* uint8"):
        floats.step(FRAME)
    plain = VideoSegmenter(tiny_network, build_memory("lfu"))
    given = ViewSegmenter([plain]).step(FRAME, LABELS)
    assert torch.equal(floats.step(FRAME.astype(np.float32), LABELS), given)
