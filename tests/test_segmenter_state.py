"""A segmenter as an object: saved and loaded, frozen, carried to another video."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model import CheckpointError
from model.checkpoint import save_network
from model.storage import save_file
from tests.fixtures import EVERY_POLICY


@pytest.fixture(scope="module")
def clip():
    clip = SyntheticClip(seed=1, size=(50, 71), length=12, objects=2, late=True)
    return [clip.frame(t) for t in range(12)]


def _segmenter(network, memory="lfu", **options):
    return VideoSegmenter(network, build_memory(memory, 3, top_k=5, seed=1), 2, **options)


def _steps(segmenter, frames, first=0):
    return [segmenter.step(frame, labels if first + i in (0, 4) else None) for i, (frame, labels) in enumerate(frames)]


@pytest.mark.parametrize("decode", ["full", pytest.param("window", marks=pytest.mark.slow)])
@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_a_loaded_segmenter_resumes_to_the_bit(prepared_network, clip, tmp_path, memory, decode):
    uninterrupted, saved, loaded = (_segmenter(prepared_network, memory, decode=decode) for _ in range(3))
    expected = _steps(uninterrupted, clip)
    _steps(saved, clip[:7])
    saved.save(tmp_path / "state.pth")
    loaded.load(tmp_path / "state.pth")
    for ours, theirs in zip(_steps(loaded, clip[7:], 7), expected[7:], strict=True):
        assert torch.equal(ours, theirs)
    assert loaded.objects == uninterrupted.objects
    assert loaded.frame_index == 12


_CONTINUE = """
import sys, numpy as np
from inference import VideoSegmenter, build_memory
from model import load_network
folder = sys.argv[1]
segmenter = VideoSegmenter(load_network(folder + "/network.pth"), build_memory("lfu", 3, top_k=5, seed=1), 2)
segmenter.load(folder + "/state.pth")
frames = np.load(folder + "/frames.npy")
np.save(folder + "/labels.npy", np.stack([segmenter.labels(segmenter.step(frame)) for frame in frames]))
"""


@pytest.mark.slow
def test_a_new_process_resumes_with_identical_masks(prepared_network, clip, tmp_path):
    segmenter = _segmenter(prepared_network)
    _steps(segmenter, clip[:7])
    segmenter.save(tmp_path / "state.pth")
    save_network(tmp_path / "network.pth", prepared_network)
    np.save(tmp_path / "frames.npy", np.stack([frame for frame, _ in clip[7:]]))
    subprocess.run([sys.executable, "-c", _CONTINUE, str(tmp_path)], check=True)
    labels = [segmenter.labels(segmenter.step(frame)) for frame, _ in clip[7:]]
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), np.stack(labels))


def test_a_frozen_bank_is_read_but_never_changed(prepared_network, clip):
    segmenter = _segmenter(prepared_network)
    _steps(segmenter, clip[:5])
    segmenter.freeze()
    entries = segmenter.memory.entries
    before = entries.state()
    _steps(segmenter, clip[5:], 5)
    after = entries.state()
    assert all(torch.equal(before["buffers"][name], after["buffers"][name]) for name in before["buffers"])
    segmenter.freeze(False)
    _steps(segmenter, clip[5:8], 5)
    assert not torch.equal(before["buffers"]["usage"], entries.state()["buffers"]["usage"])


def test_a_frozen_bank_says_that_it_cannot_learn_an_object(prepared_network, clip):
    segmenter = _segmenter(prepared_network)
    segmenter.freeze()
    with pytest.raises(ValueError, match=r"frame 0: .*the frozen bank knows, \[\], found \[1\]; freeze\(False\)"):
        segmenter.step(*clip[0])
    segmenter.freeze(False)
    _steps(segmenter, clip[:3])
    segmenter.freeze()
    frame, labels = clip[4]
    assert segmenter.step(frame, labels * (labels == 1)).shape == (2, 50, 71)     # of a known one, for this frame alone
    with pytest.raises(ValueError, match=r"frame 4: .*the frozen bank knows, \[1\], found \[1, 2\]"):
        segmenter.step(frame, labels)


def test_a_bank_finds_its_objects_in_another_video_of_another_size(prepared_network, clip):
    segmenter = _segmenter(prepared_network)
    _steps(segmenter, clip[:5])
    segmenter.freeze()
    segmenter.reset(keep_memory=True)
    other = SyntheticClip(seed=1, size=(64, 96), length=3, objects=2)
    probabilities = segmenter.step(other.frame(0)[0])
    assert probabilities.shape == (3, 64, 96)
    assert segmenter.objects == [1, 2]
    segmenter.reset()
    assert segmenter.objects == []
    assert segmenter.memory.empty
    assert not segmenter.memory.frozen


def test_states_of_another_kind_are_refused(prepared_network, clip, tmp_path):
    path = tmp_path / "state.pth"
    segmenter = _segmenter(prepared_network)
    _steps(segmenter, clip[:3])
    segmenter.save(path)
    with pytest.raises(CheckpointError, match=r"state.pth: expected a segmenter made with .*'memory_every': 3"):
        VideoSegmenter(prepared_network, build_memory("lfu", 3, top_k=5), 3).load(path)
    with pytest.raises(CheckpointError, match="expected the state of a bank"):
        _segmenter(prepared_network, "lru").load(path)
    save_file(path, {"network": {}})
    with pytest.raises(CheckpointError, match="expected a saved segmenter, found"):
        segmenter.load(path)
    path.write_bytes(b"PK cut short")
    with pytest.raises(CheckpointError, match="does not load"):
        segmenter.load(path)
