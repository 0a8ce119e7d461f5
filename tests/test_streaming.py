"""Memory stays flat on a long stream with a bounded bank, and grows by exactly the bank with every-k."""

import gc

import pytest

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory


@pytest.mark.slow
@pytest.mark.parametrize("memory", ["lfu", "first_and_latest"])
def test_resident_memory_is_flat(prepared_network, memory):
    clip = list(SyntheticClip(seed=2, size=(32, 48), objects=2, length=50))
    segmenter = VideoSegmenter(prepared_network, build_memory(memory))
    resident = []
    for t in range(1000):
        frame, labels = clip[t % len(clip)]
        segmenter.step(frame, labels if t == 0 else None)
        if t % 50 == 49:
            gc.collect()
            resident.append(_resident_bytes())
    assert max(resident[10:]) < 1.01 * max(resident[2:10])


def test_every_k_holds_what_its_entries_take(prepared_network):
    clip = SyntheticClip(seed=2, size=(64, 96), objects=2)
    memory = build_memory("every_k")
    segmenter = VideoSegmenter(prepared_network, memory)
    cells, config = 4 * 6, prepared_network.config
    for t in range(41):
        frame, labels = clip.frame(t)
        segmenter.step(frame, labels if t == 0 else None)
        writes = 1 + t // 5
        entry = 4 * config.key_dim + 2 * 4 * config.value_dim + 5 * 8      # key, two values, five numbers
        assert memory.bytes_held == writes * cells * entry
        assert memory.bytes_allocated <= 2 * max(memory.bytes_held, 2 * cells * entry)


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
