"""Whole videos through VideoSegmenter equal the public system, and the thesis's bank on the same network.

Tolerances are those of golden/README.md: the plain path in float64 is compared strictly; in float32 two similarities
at the edge of a top-k may be closer than the rounding, which swaps an entry and changes a few pixels.
"""

import copy
from dataclasses import dataclass, field

import numpy as np
import pytest

from inference import VideoSegmenter, build_memory
from model import STCN
from model.fast import prepare_for_inference

# name -> arguments of build_memory; None: whatever the file says of its bank
BANKS = {
    "every2": {"name": "every_k"},
    "late_object": {"name": "every_k"},
    "lfu": {"name": "lfu", "frames": 2},
    "lfu_softmax_index": {"name": "lfu", "frames": 2, "index": "softmax"},      # this one and the next two show the
    "lfu_late_object": {"name": "lfu", "frames": 2},                            # same frames
    "first_and_latest": {"name": "first_and_latest"},
    "small_memory": {"name": "lfu", "frames": 3},     # three frames are all it ever writes: nothing is evicted
}
WHOLE = [pytest.param(name, None, marks=() if name == "small_memory" else pytest.mark.slow) for name in BANKS]
HALF = 2.5e-4     # rounding of the probabilities, which are stored in half precision


@dataclass
class Propagation:
    """What a run over the first frames of a golden video gave; lists have one item per frame."""

    memory: object
    labels: list = field(default_factory=list)            # [H, W] uint8
    probabilities: list = field(default_factory=list)     # [1 + objects, H, W]
    frames_held: list[float] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)       # the frames that were written

    def at_end(self, column: str) -> np.ndarray:
        """`written` or `usage` of the entries held, oldest write first, in raster order within a write."""
        entries = self.memory.entries
        return getattr(entries, column)[entries.order()].cpu().numpy()


def propagate(golden, name, network, frames=None, **options) -> Propagation:
    memory = build_memory(top_k=int(golden["top_k"]), **BANKS[name])
    segmenter = VideoSegmenter(network, memory, memory_every=int(golden["every"]), **options)
    late = int(golden["late"]) if "late" in golden else None
    run = Propagation(memory)
    for index, frame in enumerate(golden["frames"][:frames]):
        annotation = {0: golden["first_mask"], late: golden["late_mask"] if late else None}.get(index)
        probabilities = segmenter.step(frame, annotation)
        run.labels.append(segmenter.labels(probabilities))
        run.probabilities.append(probabilities.cpu().numpy())
        run.frames_held.append(memory.frames_held)
        if segmenter.last_write == index:
            run.writes.append(index)
    if "frames_held" in golden:
        assert run.frames_held == golden["frames_held"][:frames].tolist()
    if "writes" in golden:
        assert run.writes == [write for write in golden["writes"] if write < len(run.labels)]
    return run


@pytest.fixture(scope="module")
def networks(seeded_network):
    """path -> the network ready for it, and with the features of the last 12 frames at hand; made once."""
    made: dict[str, STCN] = {}

    def make(path: str) -> STCN:
        if path not in made:
            whole = seeded_network("multi")
            made[path] = prepare_for_inference(whole) if path == "prepared" else copy.deepcopy(whole)
            remember_frames(made[path].double() if path == "float64" else made[path], 12)
        return made[path]

    return make


def remember_frames(network: STCN, frames: int) -> None:
    """Encode a frame that several files show only once."""
    encode, known = network.encode_key, {}

    def encode_key(image):
        name = image.numpy().tobytes()
        if name not in known:
            known[name] = encode(image)
            for oldest in [*known][:-frames]:
                del known[oldest]
        return known[name]

    network.encode_key = encode_key


@pytest.mark.parametrize(("name", "frames"), [("late_object", 4), *WHOLE])
def test_the_plain_path_in_float64_is_equal(name, frames, shared, networks):
    golden = np.load(shared / "golden" / f"propagate_{name}.npz")
    run = propagate(golden, name, networks("float64"), frames, precision="fp64")
    for index in range(1, len(run.labels)):
        assert run.probabilities[index].dtype == np.float64
        expected = golden["prob"][: len(run.probabilities[index]), index]
        assert np.abs(run.probabilities[index] - expected).max() < HALF, f"frame {index}"
        assert (run.labels[index] == golden["mask"][index]).all(), f"frame {index}"
    if frames is None and "written_at_end" in golden:
        assert (run.at_end("written") == golden["written_at_end"]).all()
        np.testing.assert_allclose(run.at_end("usage"), golden["usage_at_end"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("path", ["prepared", "plain"])
@pytest.mark.parametrize(("name", "frames"), WHOLE)
def test_float32_agrees(name, frames, path, shared, networks):
    golden = np.load(shared / "golden" / f"propagate_{name}.npz")
    run = propagate(golden, name, networks(path), frames, plain=path == "plain")
    equal = [(labels == mask).mean() for labels, mask in zip(run.labels[1:], golden["mask"][1:], strict=True)]
    assert np.mean(equal) >= 0.999, equal
    assert min(equal) >= 0.99, equal
    assert min(equal[:3]) >= 0.999, equal        # before differences add up
    if "written_at_end" in golden:
        assert (run.at_end("written") == golden["written_at_end"]).mean() >= 0.99
