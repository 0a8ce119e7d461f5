"""The memory of an annotation does not grow with the frames that were segmented."""

import gc
import tracemalloc

import numpy as np
import pytest
from torch import Tensor

from inference.annotation.engine import Engine
from inference.annotation.network import Network
from inference.annotation.project import Project
from inference.annotation.video import Video
from inference.memory import MemoryOptions
from inference.runtime import RuntimeOptions
from inference.views import ViewOptions

pytestmark = pytest.mark.usefixtures("one_thread")
COUNT, WARM = 141, 40        # frames


def once(function):
    """The function, which computes its first answer alone and gives it again and again."""
    answers = []

    def answer(*arguments):
        if not answers:
            answers.append(function(*arguments))
        return answers[0]
    return answer


class InstantNetwork(Network):
    """Takes no time: all frames get the features and the mask of the first one. The bank is a real one."""

    def segmenter(self, memory):
        made = super().segmenter(memory)
        for each in made.segmenters:
            each.encoder.encode = once(each.encoder.encode)
            each.decoding.logits, each.decoding.encode_value = map(
                once, (each.decoding.logits, each.decoding.encode_value))
        return made


def held():
    """Bytes of Python objects and arrays since tracemalloc started, and of all tensors."""
    gc.collect()
    storages = [each.untyped_storage() for each in gc.get_objects() if issubclass(type(each), Tensor)]
    return tracemalloc.get_traced_memory()[0] + sum({each.data_ptr(): each.nbytes() for each in storages}.values())


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_frame_leaves_only_some_numbers_in_memory(tmp_path, clip, weights, direction):
    image, labels = clip[0][0], np.minimum(clip[0][1], 1)
    video = Video(tmp_path / "video", [image] * COUNT, [f"{frame:05d}" for frame in range(COUNT)], labels.shape, None)
    network = InstantNetwork(weights, RuntimeOptions(device="cpu", tune="off").resolved(), ViewOptions(0))
    engine = Engine(Project(tmp_path / "out", video), video, network, MemoryOptions(), lambda name, content: None)
    engine.rebuild(engine.bank, direction)
    for frame in (0, COUNT - 1):
        engine.apply_given(frame, labels)
    tracemalloc.start()
    try:
        sizes = {frame: held() for _, frame in engine.steps(lambda frame: True) if frame in (WARM, COUNT - 1)}
    finally:
        tracemalloc.stop()
    assert engine.board.stale == set()
    assert (sizes[COUNT - 1] - sizes[WARM]) / (COUNT - 1 - WARM) < 400       # bytes a frame
