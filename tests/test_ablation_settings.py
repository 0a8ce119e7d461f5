"""Which settings of the memory bank an ablation runs, and what they are called."""

from collections import Counter

import pytest

from inference.ablation.settings import name_of, settings_of, titles
from inference.memory import MemoryConfigError


def lists(memory, memory_frames=(2,), memory_every=(5,), index=("topk",), **switches):
    return {"memory": memory, "memory_frames": memory_frames, "memory_every": memory_every, "top_k": (20,),
            "index": index} | {name: (value,) for name, value in switches.items()}


def test_combinations_that_make_no_difference_run_once():
    settings, notes = settings_of(
        lists(["every_k", "first_and_latest", "lfu", "fifo"], [1, 2], [5, 10], ["topk", "softmax", "log"]))
    counts = Counter(setting.memory for setting in settings)
    assert counts == {"every_k": 2, "first_and_latest": 1, "lfu": 2 * 2 * 3, "fifo": 2 * 2}
    assert len({name_of(setting) for setting in settings}) == len(settings)
    assert not notes
    named = titles(settings)
    assert named[settings[0]] == ("every-5", "every-5")
    assert named[settings[3]] == ("LFU, every 5 frames, topk index", "LFU, 1 frame, every 5 frames, topk index")
    assert settings_of(lists(["lfu", "lfu"], [2, 2]))[0] == settings_of(lists(["lfu"]))[0]


def test_impossible_combinations_are_left_out_unless_none_remains():
    settings, notes = settings_of(lists(["lfu"], [1, 2], protect_first=True))
    assert [setting.memory_frames for setting in settings] == [2]
    assert notes[0].startswith("lfu1-every5-top20-topk-first left out: memory_frames 1: expected at least 2")
    with pytest.raises(MemoryConfigError, match="expected at least 3"):
        settings_of(lists(["lfu"], [1, 2], include_last=True, protect_first=True))
