"""Memory taken along: an object learned in one video is found in another one, of any size."""

import json

import numpy as np
import pytest
import torch

from dataset.masks import read_labels, write_labels
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.memory import POLICIES, Admission, MemoryConfigError
from inference.quality import FrameQuality
from inference.views import View, ViewSegmenter
from model import STCN, CheckpointError, load_network
from model.checkpoint import save_network
from model.storage import read_file, save_file
from scripts import segment_video
from tests.fixtures import EVERY_POLICY, TINY
from tests.own_video import make_clip, segment, write_folder

pytestmark = pytest.mark.usefixtures("one_thread")
KEY, VALUE = 8, 6


@pytest.fixture
def learned(tmp_path, weights):
    """A memory file of a run over a video with object 1."""
    segment(write_folder(tmp_path, make_clip()), tmp_path / "first.png", weights, "--no-overlay", "--short-side", 0,
            "--save-memory", tmp_path / "cat.pth")
    return tmp_path / "cat.pth"


@pytest.fixture
def other(tmp_path):
    """Another video, of another size."""
    (tmp_path / "other").mkdir()
    return write_folder(tmp_path / "other", list(SyntheticClip(seed=2, size=(48, 80), length=5, objects=1)))


def find(source, memory, weights, *more, output="found"):
    """Run the command without a mask; returns its output folder."""
    segment_video.main([
        "--input", str(source), "--memory-from", str(memory), "--weights", str(weights), "--device", "cpu",
        "--output", str(source.parent / output), "--precision", "fp32", "--memory-every", "2", "--top-k", "5",
        "--no-overlay", "--short-side", "0", *map(str, more),
    ])
    return source.parent / output


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [True, False])
def test_an_object_of_one_video_is_found_in_another(learned, other, tmp_path, weights, frozen, capsys):
    output = find(other, learned, weights, *["--frozen"] * frozen, "--save-memory", tmp_path / "again.pth")
    segmenter = VideoSegmenter(load_network(weights), build_memory("lfu", top_k=5), memory_every=2)
    for t, (image, labels) in enumerate(make_clip()):
        segmenter.step(image, labels if t == 0 else None)
    segmenter.reset(keep_memory=True)
    segmenter.freeze(frozen)
    for t, (image, _) in enumerate(SyntheticClip(seed=2, size=(48, 80), length=5, objects=1)):
        found = segmenter.labels(segmenter.step(image))
        assert np.array_equal(read_labels(output / "masks" / f"frame {t + 3}.png"), found)
    settings = json.loads((output / "run.json").read_text())["settings"]
    assert settings["memory_from"] == str(learned)
    assert settings["frozen"] == frozen
    assert f"from {learned}: objects 1" in capsys.readouterr().out
    before, after = (read_file(path)["views"][0]["memory"]["entries"] for path in (learned, tmp_path / "again.pth"))
    written = after["buffers"]["written"].unique().tolist()
    assert (written == before["buffers"]["written"].unique().tolist()) == frozen
    assert max(written) == (12 if not frozen else 6)     # frame numbers go on: 8 frames, then 5, every second stored


@pytest.mark.slow
def test_a_memory_of_other_weights_or_options_is_refused(learned, other, tmp_path, weights, refused):
    torch.manual_seed(1)
    save_network(tmp_path / "others.pth", STCN(TINY))
    with refused(r"cat.pth: expected a memory made with the weights of this command, .*others.pth \(SHA-256",
                 r"found one made with .*tiny.pth", "give --weights as in that run"):
        find(other, learned, tmp_path / "others.pth")
    for flags, name, wanted, found in (
        (["--memory-frames", 4], "memory_frames", 4, 2), (["--decode", "window"], "decode", "'window'", "'auto'"),
        (["--flip"], "flip", True, False), (["--memory", "lru"], "memory", "'lru'", "'lfu'"),
    ):
        with refused(rf"cat.pth: expected a memory made with {name}={wanted} as in this command, found {found}; give"):
            find(other, learned, weights, *flags)
    with refused("none.pth: expected a file that --save-memory wrote, found no such file"):
        find(other, tmp_path / "none.pth", weights)
    with refused("tiny.pth: expected a file that --save-memory wrote, found one with network, network_config"):
        find(other, weights, weights)
    content = read_file(learned)
    content["views"][0]["segmenter"]["_known"] = []
    save_file(tmp_path / "empty.pth", content)
    with refused("empty.pth: expected a memory that knows an object, found one that knows none"):
        find(other, tmp_path / "empty.pth", weights)
    assert not (tmp_path / "other/found").exists()


@pytest.mark.slow
def test_flags_that_contradict_are_refused(learned, other, weights, refused):
    with refused("--mask: expected .*found none; give one of the three"):
        segment_video.main(["--input", str(other), "--output", str(other.parent / "out")])
    with refused("--frozen: expected --memory-from, and no masks"):
        find(other, learned, weights, "--frozen", "--mask", other.parent / "first.png")
    with refused("--frozen: expected --memory-from"):
        segment(other, other.parent / "first.png", weights, "--frozen")
    with refused("--save-memory .*cat.pth: expected the name of a new file, found a file, which --overwrite would"):
        find(other, learned, weights, "--save-memory", learned)
    with refused("--save-memory .*: expected the name of a new file, found a folder"):
        find(other, learned, weights, "--save-memory", other, "--overwrite")


def test_a_memory_may_learn_more_objects_and_be_replaced(learned, other, tmp_path, weights):
    mask = read_labels(other.parent / "first.png")
    write_labels(other.parent / "first.png", mask * 3)
    output = find(other, learned, weights, "--mask", other.parent / "first.png", "--save-memory", learned,
                  "--overwrite")
    assert np.array_equal(read_labels(output / "masks/frame 3.png") == 3, mask == 1)
    assert read_file(learned)["views"][0]["segmenter"]["_known"] == [1, 3]


@pytest.mark.slow
def test_the_banks_of_all_views_are_saved(prepared_network):
    views = (View(), View(flip=True), View(scale=0.5))
    one, two = (
        ViewSegmenter([VideoSegmenter(prepared_network, build_memory("lfu"), 2) for _ in views], views) for _ in "12"
    )
    clip = make_clip()
    for t, (image, labels) in enumerate(clip[:3]):
        one.step(image, labels if t == 0 else None)
    two.restore(one.state())
    assert torch.equal(one.step(clip[3][0]), two.step(clip[3][0]))
    with pytest.raises(CheckpointError, match="state: expected the state of 3 views, found one of 2"):
        two.restore(one.state()[:2])
    for segmenter in (one, two):
        segmenter.reset(keep_memory=True)
        segmenter.freeze()
    assert torch.equal(one.step(clip[3][0]), two.step(clip[3][0]))
    one.rename(1, 4)
    assert one.objects == [4]
    one.forget(4)
    assert one.objects == []
    assert two.objects == [1]


@pytest.mark.parametrize("grid", [(2, 3), (6, 8)])
@pytest.mark.parametrize("include_last", [False, True])
@pytest.mark.parametrize("memory", EVERY_POLICY)
def test_capacity_counts_frames_of_the_current_video(memory, grid, include_last):
    bank = build_memory(memory, 3, 4, include_last=include_last)
    generator = torch.Generator().manual_seed(0)
    good = FrameQuality(torch.full((1,), 50.0), torch.ones(1), torch.ones(1))
    for now in range(24):
        cells = (3, 4) if now < 10 else grid
        key = torch.randn(KEY, *cells, generator=generator)
        if now:
            assert bank.read(key, now).values.shape == (1, VALUE, *cells)
        if POLICIES[memory].one_size and now == 10:
            with pytest.raises(MemoryConfigError, match=f"memory {memory}: expected frames of 12 cells like those"):
                bank.admit(key, True, False, good)
            return
        admission = bank.admit(key, now % 2 == 0, now == 0, good)
        if admission is not Admission.SKIP:
            bank.write(key, torch.randn(1, VALUE, *cells, generator=generator), now, admission)
            assert bank.frames_held <= 3
            assert bank.entries.rows == 3 * cells[0] * cells[1]
            assert bank.entries.visible <= bank.entries.rows
    assert bank.frames_held == 3 or memory == "first_and_latest"
    written, cell = bank.entries.sources
    assert len(set(zip(written.tolist(), cell.tolist(), strict=True))) == bank.entries.visible
