"""Whatever comes, the promises of `VideoSegmenter` hold: random videos, annotations and settings."""

import functools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st

from inference import VideoSegmenter, build_memory
from inference.memory import INDICES, POLICIES, MemoryConfigError
from inference.views import View, ViewSegmenter
from model import STCN
from model.fast import prepare_for_inference
from tests.fixtures import TINY

# norms as in the compact network, but not its depthwise convolutions: they are very slow in emulated bf16
SMALL = replace(TINY, norm="batch", block_norm="batch", key_backbone="resnet18", value_backbone="resnet18")
PICTURES = ("noise", "still", "black", "white")


@dataclass(frozen=True)
class Video:
    """A video and, for each of its frames, the objects that are annotated there: () is an empty map, None is none."""

    size: tuple[int, int]
    picture: str
    annotated: tuple[tuple[int, ...] | None, ...]
    seed: int

    def frames(self) -> list[tuple[np.ndarray, np.ndarray | None]]:
        generator = np.random.default_rng(self.seed)
        still = generator.integers(0, 256, (*self.size, 3), np.uint8)
        frames = []
        for numbers in self.annotated:
            noise = generator.integers(0, 256, (*self.size, 3), np.uint8)
            frame = {"noise": noise, "still": still, "black": 0 * noise, "white": 0 * noise + 255}[self.picture]
            frames.append((frame, None if numbers is None else self._annotation(numbers, generator)))
        return frames

    def _annotation(self, numbers: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Rectangles, later ones over earlier ones: an object may be one pixel, the whole frame, or hidden."""
        labels = np.zeros(self.size, np.uint8)
        for number in numbers:
            top, left = (int(generator.integers(side)) for side in self.size)
            height, width = (int(generator.integers(1, side + 1)) for side in self.size)
            labels[top : top + height, left : left + width] = number
        return labels


@dataclass(frozen=True)
class Settings:
    """How a segmenter is made, and the frame from which on its bank is frozen."""

    policy: str
    memory: dict
    every: int
    precision: str
    decode: str
    mask_channels: int
    freeze: int | None

    def segmenter(self) -> VideoSegmenter:
        memory = build_memory(self.policy, **self.memory)
        network = prepared(self.mask_channels, self.precision)
        return VideoSegmenter(network, memory, self.every, self.precision, decode=self.decode)


@functools.cache
def prepared(mask_channels: int, precision: str) -> STCN:
    """Once for all cases: it is most of what a short stream costs."""
    torch.manual_seed(mask_channels)
    return prepare_for_inference(STCN(replace(SMALL, mask_channels=mask_channels)), precision)


@st.composite
def videos(draw, longest=8):
    objects = draw(st.lists(st.integers(1, 254), max_size=5, unique=True))
    some = st.lists(st.sampled_from(objects), max_size=3).map(tuple) if objects else st.just(())
    annotated = draw(st.lists(st.none() | some, min_size=3, max_size=longest))
    first = draw(st.sampled_from([tuple(objects), annotated[0]]))
    size = draw(st.tuples(st.integers(1, 65), st.integers(1, 65)))
    return Video(size, draw(st.sampled_from(PICTURES)), (first, *annotated[1:]), draw(st.integers(0, 2**32 - 1)))


BANKS = st.fixed_dictionaries({
    "frames": st.none() | st.integers(1, 4), "top_k": st.sampled_from([1, 2, 5, 20, 500]),
    "index": st.sampled_from(INDICES), "include_last": st.booleans(), "protect_first": st.booleans(),
    "seed": st.integers(0, 3),
})
PRECISIONS = st.sampled_from(["fp32", "fp32", "bf16", "fp16"])      # half precision takes longer where it is emulated
SETTINGS = st.builds(
    Settings, st.sampled_from(sorted(POLICIES)), BANKS, st.integers(1, 5), PRECISIONS,
    st.sampled_from(["full", "window"]), st.sampled_from([1, 2]), st.none() | st.none() | st.integers(0, 7),
)


@pytest.fixture(scope="module")
def state_file(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "state.pth"


def check_stream(state_file, video: Video, made: Settings, saved_after: int | None) -> None:
    """Twice through the video, the second time after a reset and by way of a file: the same bytes."""
    try:
        segmenter = made.segmenter()
    except MemoryConfigError:
        event("refused: too small a capacity")
        assert made.memory["frames"] in (None, 1, 2)
        return
    frames = video.frames()
    results = [step(segmenter, made, now, *frame) for now, frame in enumerate(frames)]
    segmenter.reset()
    assert segmenter.objects == []
    assert segmenter.memory.empty
    for now, (frame, expected) in enumerate(zip(frames, results, strict=True)):
        assert step(segmenter, made, now, *frame).numpy().tobytes() == expected.numpy().tobytes()
        if now == saved_after:
            segmenter.save(state_file)
            segmenter = made.segmenter()
            segmenter.load(state_file)


def step(
    segmenter: VideoSegmenter, made: Settings, now: int, frame: np.ndarray, annotation: np.ndarray | None
) -> torch.Tensor:
    """One frame, with all that must hold after it."""
    if now == made.freeze:
        segmenter.freeze()
    given, before = numbers_in(annotation), segmenter.objects
    if segmenter.memory.frozen and not given <= set(before):
        with pytest.raises(ValueError, match="expected objects that the frozen bank knows"):
            segmenter.step(frame, annotation)
        given, annotation = set(), None
    probabilities = segmenter.step(frame, annotation)
    assert segmenter.objects == sorted({*before, *given})
    check_probabilities(probabilities, len(segmenter.objects), frame.shape[:2])
    labels = segmenter.labels(probabilities)
    assert labels.dtype == np.uint8
    assert set(np.unique(labels).tolist()) <= {0, *segmenter.objects}
    for number in given:
        np.testing.assert_array_equal(labels == number, annotation == number)
    check_bank(segmenter.memory, now)
    return probabilities


def numbers_in(annotation: np.ndarray | None) -> set[int]:
    return set() if annotation is None else set(np.unique(annotation).tolist()) - {0}


def check_probabilities(probabilities: torch.Tensor, objects: int, size: tuple[int, int]) -> None:
    assert probabilities.shape == (1 + objects, *size)
    assert probabilities.dtype == torch.float32
    assert probabilities.isfinite().all()
    assert probabilities.min() >= 0
    torch.testing.assert_close(probabilities.sum(0), torch.ones(size))


def check_bank(memory, now: int) -> None:
    """The capacity is hard, buffers are allocated once, and every entry is a cell of its own of a frame seen."""
    entries = memory.entries
    if entries is None:
        assert memory.frames_held == memory.bytes_held == 0
        return
    if memory.frames is not None:
        assert entries.visible <= memory.frames * memory.cells == entries.rows
        assert memory.frames_held <= memory.frames
    written, cells = entries.sources
    assert len(set(zip(written.tolist(), cells.tolist(), strict=True))) == entries.visible
    assert 0 <= written.min() <= written.max() <= now
    assert entries.keys.isfinite().all()
    assert all(entries.values(obj)[entries.has_value(obj)].isfinite().all() for obj in range(entries.objects))


SAVED_AFTER = st.none() | st.integers(0, 6)


@settings(max_examples=10)
@given(video=videos(longest=5), made=SETTINGS, saved_after=SAVED_AFTER)
def test_a_few_random_streams(state_file, video, made, saved_after):
    check_stream(state_file, video, made, saved_after)


@pytest.mark.slow
@given(video=videos(), made=SETTINGS, saved_after=SAVED_AFTER)
def test_random_streams(state_file, video, made, saved_after):
    check_stream(state_file, video, made, saved_after)


VIEWS = st.builds(View, st.integers(0, 60), st.sampled_from([0.25, 0.5, 1.0, 1.3]), st.booleans())


@settings(max_examples=20)
@given(video=videos(longest=5), views=st.lists(VIEWS, min_size=1, max_size=3).map(tuple))
def test_random_streams_through_several_views(video, views):
    segmenter = ViewSegmenter([VideoSegmenter(prepared(2, "fp32"), build_memory("lfu"), 2) for _ in views], views)
    numbers: set[int] = set()
    for frame, annotation in video.frames():
        numbers |= numbers_in(annotation)
        probabilities = segmenter.step(frame, annotation)
        assert segmenter.objects == sorted(numbers)
        check_probabilities(probabilities, len(numbers), video.size)
        assert set(np.unique(segmenter.labels(probabilities)).tolist()) <= {0, *numbers}
