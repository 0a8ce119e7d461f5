"""Shared fixtures: the reference material (skipped where it is missing) and a tiny network."""

import functools
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

import eval_davis
from dataset.synthetic import make_davis
from inference.memory import POLICIES
from model import STCN, NetworkConfig
from model.checkpoint import load_state, save_network
from model.fast import prepare_for_inference
from model.published_layout import from_published
from tests.annotating import Annotating, write_frames
from tests.odd import Refusals
from tests.own_video import make_clip, write_folder, write_masked_video

SHARED = Path(__file__).resolve().parents[2] / "shared"
TINY = NetworkConfig(
    key_backbone="efficientnet_lite0", value_backbone="efficientnet_lite0", key_dim=16, value_dim=32,
    decoder_dims=(32, 16, 16), norm="group", block_norm="group",
)

# cases over all policies: those of the others are slow tests
EVERY_POLICY = [
    name if name in ("lfu", "novelty") else pytest.param(name, marks=pytest.mark.slow) for name in sorted(POLICIES)
]

settings.register_profile(
    "suite", max_examples=200, deadline=None, derandomize=True, database=None, report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", settings.get_profile("suite"), max_examples=2000, derandomize=False)
settings.load_profile("suite")      # pytest --hypothesis-profile long tests/test_fuzz.py: new cases every time


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of golden outputs and real frames that lies beside a developer's checkout."""
    if not (SHARED / "golden").is_dir():
        pytest.skip("the reference material ../shared is not here")
    return SHARED


@pytest.fixture(scope="session")
def seeded_state(shared):
    """layout -> published state dictionary drawn by the reference material's generator."""
    sys.path.insert(0, str(shared / "golden"))
    from seeded_weights import seeded_state_dict

    return functools.cache(seeded_state_dict)


@pytest.fixture(scope="session")
def seeded_network(seeded_state):
    """layout ("multi" or "single") -> the thesis's network with the golden weights, made once a session."""
    networks: dict[str, STCN] = {}

    def make(layout: str) -> STCN:
        if layout not in networks:
            config, state = from_published(seeded_state(layout))
            networks[layout] = STCN(config)
            load_state(networks[layout], state, layout)
        return networks[layout].eval()

    return make


@pytest.fixture(scope="session")
def tiny_network() -> STCN:
    """A small network with seeded random weights: quick, and good enough for everything but quality."""
    torch.manual_seed(0)
    return STCN(TINY).eval()


@pytest.fixture(scope="session")
def prepared_network(tiny_network) -> STCN:
    """The tiny network prepared in fp32: each segmenter would prepare a copy of its own."""
    return prepare_for_inference(tiny_network)


@pytest.fixture(scope="session")
def weights(tmp_path_factory, tiny_network) -> Path:
    """A weights file of the tiny network."""
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    save_network(path, tiny_network)
    return path


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, weights) -> tuple[Path, Path]:
    """A DAVIS folder, and a finished run with telemetry over its clip-001 and clip-002."""
    root, output = tmp_path_factory.mktemp("DAVIS"), tmp_path_factory.mktemp("run") / "out"
    make_davis(root, sequences={"train": 1, "val": 2}, frames=11, size=(48, 70), progress=False)
    eval_davis.main([
        "--davis-root", str(root), "--weights", str(weights), "--output", str(output), "--device", "cpu",
        "--memory-every", "2", "--top-k", "5", "--telemetry",
    ])
    return root, output


@pytest.fixture
def refused(capsys) -> Refusals:
    """`with refused(WORDS): main(...)` ends with exit status 2 and one line that matches each of the patterns WORDS."""
    return Refusals(capsys)


def relative_error(value: torch.Tensor, expected) -> float:
    """max|a - b| / max|b|, the golden tolerance's measure."""
    expected = torch.as_tensor(expected)
    assert value.shape == expected.shape
    return ((value.double() - expected.double()).abs().max() / expected.abs().max()).item()


@pytest.fixture(scope="module")
def clip():
    """A user's own video: pairs of image and labels. Files with another clip have a fixture of their own."""
    return make_clip()


@pytest.fixture
def folder(clip, tmp_path) -> Path:
    """The clip as a folder of images, beside its first mask."""
    return write_folder(tmp_path, clip)


@pytest.fixture
def video(clip, tmp_path) -> Path:
    """The clip as a video file, beside its masks."""
    return write_masked_video(tmp_path, clip)


@pytest.fixture(scope="module")
def one_thread():
    """On pictures of a few cells threads mostly wait for one another."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def annotating(clip, tmp_path, weights):
    """A function that opens an annotation of the clip, anew or again; it is closed at the end."""
    frames, each = write_frames(tmp_path / "frames", clip), []

    def open_again(root="out"):
        if each:
            each[-1].annotation.close()
        each.append(Annotating(tmp_path / root, frames, weights))
        return each[-1]

    yield open_again
    each[-1].annotation.close()
