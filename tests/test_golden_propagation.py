"""Whole videos through VideoSegmenter equal the public system, and the thesis's bank on the same network.

The quick form runs the first frames; the whole form (slow) also compares the entries that survive, and runs the
plain network as well as the one prepared for inference.
"""

import numpy as np
import pytest

from inference import VideoSegmenter, build_memory

# name -> arguments of build_memory; None: whatever the file says of its bank
BANKS = {
    "every2": {"name": "every_k"},
    "first_and_latest": {"name": "first_and_latest"},
    "late_object": {"name": "every_k"},
    "lfu": {"name": "lfu", "frames": 2},
    "lfu_softmax_index": {"name": "lfu", "frames": 2, "index": "softmax"},
    "lfu_late_object": {"name": "lfu", "frames": 2},
    "small_memory": {"name": "lfu", "frames": 3},     # three frames are all it ever writes: nothing is evicted
}


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize(
    ("frames", "plain"),
    [
        pytest.param(4, False, id="quick"),
        pytest.param(None, False, id="whole", marks=pytest.mark.slow),
        pytest.param(None, True, id="whole, plain", marks=pytest.mark.slow),
    ],
)
def test_propagation(name, frames, plain, shared, seeded_network):
    golden = np.load(shared / "golden" / f"propagate_{name}.npz")
    memory = build_memory(top_k=int(golden["top_k"]), **BANKS[name])
    segmenter = VideoSegmenter(seeded_network("multi"), memory, memory_every=int(golden["every"]), plain=plain)
    late = int(golden["late"]) if "late" in golden else None
    held, writes = [], []
    for index, frame in enumerate(golden["frames"][:frames]):
        annotation = {0: golden["first_mask"], late: golden["late_mask"] if late else None}.get(index)
        probabilities = segmenter.step(frame, annotation)
        labels = segmenter.labels(probabilities)
        if index > 0:
            assert (labels == golden["mask"][index]).mean() >= 0.999, f"frame {index}"
        if plain and index > 0:       # the prepared network rounds otherwise, which may decide near-ties of entries
            expected = golden["prob"][: len(probabilities), index].astype(np.float32)
            assert np.abs(probabilities.numpy() - expected).max() < 1e-3
        held.append(memory.frames_held)
        if segmenter.last_write == index:
            writes.append(index)
    if "frames_held" in golden:
        assert held == golden["frames_held"][:frames].tolist()
    if "writes" in golden:
        assert writes == [write for write in golden["writes"] if write < len(held)]
    if frames is None and "written_at_end" in golden:
        order = memory.entries.order()
        assert (memory.entries.written[order].numpy() == golden["written_at_end"]).mean() >= 0.99
        assert np.abs(memory.entries.usage[order].numpy() - golden["usage_at_end"]).max() <= 2
