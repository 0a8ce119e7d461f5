"""Objects seen by the network a few at a time: the same masks as all at once, in less memory."""

import numpy as np
import pytest
import torch

import eval_davis
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.decoding import FullDecoding
from inference.runtime import RuntimeOptions
from model import STCN
from model.window_decoder import OUTSIDE
from model.windows import Window
from scripts.arguments import CommandParser
from tests.test_fast import SMALL

OBJECTS = 5


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return STCN(SMALL).eval()


@pytest.fixture(scope="module")
def clip():
    """Of five objects, two of which appear late."""
    clip = SyntheticClip(seed=2, size=(96, 128), objects=1)
    frames = [clip.frame(t)[0] for t in range(5)]
    first, second = np.zeros((2, 96, 128), np.uint8)
    first[8:24, 8:40], first[30:50, 60:90], first[70:90, 100:120] = 1, 2, 3
    second[60:80, 10:30], second[10:30, 90:110] = 4, 5
    return list(zip(frames, (first, None, None, second, None), strict=True))


def _run(network, clip, at_once, **options):
    bank = build_memory("lfu", 3, top_k=5)
    segmenter = VideoSegmenter(network, bank, 2, objects_at_once=at_once, **options)
    return [segmenter.step(frame, annotation) for frame, annotation in clip], segmenter


@pytest.mark.parametrize("options", [{}, {"decode": "window"}, {"plain": True}], ids=["full", "window", "plain"])
def test_chunks_equal_the_whole(network, clip, options):
    whole, expected = _run(network, clip, None, **options)
    chunks, ours = _run(network, clip, 2, **options)
    for one, other in zip(chunks, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    for obj in range(OBJECTS):                         # values know the objects of other chunks too
        known = expected.memory.entries.has_value(obj)
        values = expected.memory.entries.values(obj)[known]
        scale = values.abs().max().item()
        torch.testing.assert_close(ours.memory.entries.values(obj)[known], values, rtol=0, atol=1e-4 * scale)


def test_windows_of_any_chunk_are_those_of_all_objects(network, clip, monkeypatch):
    """In windows that leave a part of the frame out."""
    windows = [[Window(1, 3, 1, 4)], [], [Window(0, 2, 4, 6), Window(3, 5, 0, 2)], [Window(3, 6, 5, 8)], []]
    logits = []
    for at_once in (None, 2):
        _, segmenter = _run(network, clip[:4], at_once, decode="window")
        segmenter.freeze()
        monkeypatch.setattr(segmenter.decoding, "find_windows", lambda evidence: windows)
        encoded = segmenter.encode(clip[-1][0])
        found = segmenter.memory.find(encoded.features.key[0], 6)
        with torch.inference_mode():
            logits.append(segmenter.decoding.logits(found, encoded.features))
    torch.testing.assert_close(logits[1], logits[0], rtol=1e-4, atol=1e-3)
    assert (logits[0][1] == OUTSIDE).all()


def test_the_network_never_sees_more_objects(network, clip, monkeypatch):
    seen = []
    for stage, objects in (("segment", lambda readout, _: readout), ("encode_value", lambda *inputs: inputs[2])):
        original = getattr(STCN, stage)

        def watched(self, *inputs, original=original, objects=objects):
            seen.append(objects(*inputs).shape[1])
            return original(self, *inputs)
        monkeypatch.setattr(STCN, stage, watched)
    _run(network, clip[:4], 2)
    assert seen == [2, 1] * 5 + [2, 2, 1]                # three objects until frame 3, which is stored with five
    seen.clear()
    _run(network, clip[:4], OBJECTS)
    assert seen == [3] * 5 + [OBJECTS]


def test_chunks_cover_all_objects_once():
    decoding = FullDecoding(None, 4)
    assert decoding.chunks(9) == [slice(0, 4), slice(4, 8), slice(8, 9)]
    assert decoding.chunks(4) == [slice(0, 4)]
    assert FullDecoding(None).chunks(9) == [slice(0, 9)]


def test_the_option_and_its_defaults(network):
    for bad in (0, -1):
        with pytest.raises(ValueError, match="objects_at_once: expected at least 1, or None, found"):
            VideoSegmenter(network, build_memory("lfu"), objects_at_once=bad)
    parser = CommandParser()
    parser.add_options(RuntimeOptions)
    assert parser.parse(["--objects-at-once", "3"])[RuntimeOptions].objects_at_once == 3
    assert parser.parse([])[RuntimeOptions].objects_at_once is None
    required = ["--davis-root", "d", "--weights", "w", "--output", "o"]
    assert eval_davis.parser().parse(required)[RuntimeOptions].objects_at_once is None    # published bytes stay
