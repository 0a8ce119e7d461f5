"""Convolutions by measured algorithms: equal results, an honest choice, times that are kept and shared."""

import json
import math
import multiprocessing
import time
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from model.convolution.algorithms import ALGORITHMS, DIRECT, Algorithm
from model.convolution.measuring import fastest, measure
from model.convolution.timings import Timings, cache_folder
from model.convolution.tuned import TunedConv2d, algorithms_in_use, tune_convolutions, tuned
from model.convolution.winograd import transformed_kernel, winograd_of_parts
from model.fast import prepare_for_inference

SECONDS = {DIRECT: 1.0, "winograd": 0.4}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def everything_is_worthwhile(monkeypatch):
    monkeypatch.setattr("model.convolution.tuned.MINIMUM", 0)


def convolution(channels=8, outputs=12, kernel=3, **options) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, kernel, padding=kernel // 2, **options).requires_grad_(False)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("images", "size", "padding", "bias"), [
    (1, (30, 54), 1, True), (2, (5, 4), 1, True), (3, (13, 100), 0, False), (1, (3, 3), 0, True), (1, (1, 1), 1, True),
    (1, (100, 7), 1, False),
])
def test_every_algorithm_gives_the_same_result(name, layout, images, size, padding, bias):
    conv = convolution(bias=bias)
    if not ALGORITHMS[name].applies(conv):
        pytest.skip(f"PyTorch has no {name} on this machine")
    x = torch.randn(images, 8, *size).contiguous(memory_format=layout)
    expected = conv2d(x.double(), conv.weight.double(), conv.bias.double() if bias else None, padding=padding)
    algorithm = ALGORITHMS[name]
    found = algorithm.compute(x, algorithm.pack(conv.weight), conv.bias, 1, padding)
    assert found.shape == expected.shape
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("tiles", [1, 20, 1000])
def test_winograd_of_several_parts_is_that_of_each(tiles, monkeypatch):
    monkeypatch.setattr("model.convolution.winograd.ROWS", 2)
    monkeypatch.setattr("model.convolution.winograd.TILES", tiles)
    conv = convolution()
    parts = [torch.randn(images, 8, *size) for images, size in ((1, (30, 54)), (2, (7, 5)), (1, (3, 3)), (3, (20, 9)))]
    zeros = [(1, 1, 1, 1), (0, 1, 2, 0), (0, 0, 0, 0), (3, 0, 0, 1)]              # left, right, top, bottom
    found = winograd_of_parts(parts, transformed_kernel(conv.weight), conv.bias, zeros)
    for x, own, y in zip(parts, zeros, found, strict=True):
        torch.testing.assert_close(y, conv2d(pad(x, own), conv.weight, conv.bias), rtol=0, atol=5e-5)


def test_algorithms_for_3x3_apply_to_nothing_else():
    others = [convolution(kernel=1), convolution(stride=2), convolution().double(), convolution().bfloat16()]
    assert not any(ALGORITHMS[name].applies(conv) for name in ("winograd", "nnpack") for conv in others)
    assert all(ALGORITHMS[name].applies(conv) for name in (DIRECT, "contiguous") for conv in others)


def made_up(conv: nn.Conv2d, change: float, seconds: float) -> Algorithm:
    """An algorithm whose results are `change` larger and come after so much time."""
    def compute(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
        time.sleep(seconds)
        return conv2d(x, weight, bias, stride, padding) * (1 + change)

    return Algorithm(lambda _: True, lambda weight: weight, compute)


def test_a_fast_algorithm_with_other_results_is_refused_and_a_slow_one_is_not_taken():
    conv = convolution()
    algorithms = {
        DIRECT: made_up(conv, 0, 0.03), "wrong": made_up(conv, 0.002, 0), "slow": made_up(conv, 0, 0.1),
        "nearly": made_up(conv, 0.0005, 0.001),
    }
    seconds = measure(conv, algorithms, (16, 16))
    assert seconds["wrong"] is None
    assert seconds["slow"] >= 0.1
    assert fastest(seconds) == "nearly"
    assert fastest({name: seconds[name] for name in (DIRECT, "wrong", "slow")}) == DIRECT


def test_results_of_another_shape_or_not_finite_are_refused():
    conv = convolution()
    broken = replace(ALGORITHMS[DIRECT], compute=lambda x, *_: x)
    infinite = replace(ALGORITHMS[DIRECT], compute=lambda *given: ALGORITHMS[DIRECT].compute(*given) / 0)
    seconds = measure(conv, {DIRECT: ALGORITHMS[DIRECT], "broken": broken, "infinite": infinite}, (16, 16))
    assert (seconds["broken"], seconds["infinite"]) == (None, None)


def test_the_direct_one_stays_if_it_is_nearly_as_fast():
    assert fastest({DIRECT: 1.04, "winograd": 1.0}) == DIRECT
    assert fastest({DIRECT: 1.06, "winograd": 1.0}) == "winograd"
    assert fastest({DIRECT: 2.0, "winograd": None}) == DIRECT


def test_a_tuned_convolution_uses_what_is_the_fastest_at_its_width(everything_is_worthwhile):
    conv, timings = convolution(), Timings(None)
    asked = []

    def get(question, _measure):
        asked.append(question)
        return SECONDS if question.endswith("64 wide") else {DIRECT: 1.0, "winograd": 3.0}

    timings.get = get
    made = tuned(conv, timings)
    for width in (54, 64, 20, 54):
        x = torch.randn(2, 8, 10, width)
        torch.testing.assert_close(made(x), conv(x), rtol=0, atol=5e-5)
        assert made(x).is_contiguous(memory_format=torch.channels_last)
    assert made.chosen == {64: "winograd", 16: DIRECT}
    assert asked == ["float32 3x3, 8 to 12, 64 wide", "float32 3x3, 8 to 12, 16 wide"]


def test_small_convolutions_are_not_measured():
    timings = Timings(None)
    made = tuned(convolution(), timings)
    made(torch.randn(1, 8, 30, 54))
    assert timings.known == made.chosen == {}


def test_measured_for_real(everything_is_worthwhile, monkeypatch):
    monkeypatch.setattr("model.convolution.tuned.SAMPLE", 1e6)
    timings = Timings(None)
    for conv in (convolution(), convolution(kernel=1), convolution(stride=2), convolution().bfloat16()):
        made = tuned(conv, timings)
        x = torch.randn(1, 8, 40, 40).to(conv.weight.dtype)
        assert made(x).shape == conv(x).shape
    assert len(timings.known) == 4
    assert all(seconds[DIRECT] > 0 for seconds in timings.known.values())


def test_times_are_kept_for_the_next_process(tmp_path):
    first = Timings(tmp_path / "times").get("3x3, 8 to 8", lambda: SECONDS)
    again = Timings(tmp_path / "times").get("3x3, 8 to 8", lambda: pytest.fail("measured again"))
    assert first == again == SECONDS


@pytest.mark.parametrize("damage", [
    "", "{", "[]", "{}", '{"winograd": "fast"}', '{"winograd": -1.0}', '{"winograd": NaN}', '{"winograd": null}',
    "\x00\xff",
])
def test_damaged_times_are_measured_again(tmp_path, damage):
    Timings(tmp_path).get("question", lambda: SECONDS)
    (path,) = tmp_path.iterdir()
    path.write_text(damage, encoding="latin-1")
    assert Timings(tmp_path).get("question", lambda: {DIRECT: 2.0}) == {DIRECT: 2.0}
    assert json.loads(path.read_text()) == {DIRECT: 2.0}
    assert list(tmp_path.iterdir()) == [path]


def test_who_is_first_decides_for_all(tmp_path):
    slow, fast = Timings(tmp_path), Timings(tmp_path)
    answer = slow.get("question", lambda: fast.get("question", lambda: SECONDS) and {DIRECT: 1.0, "winograd": 9.0})
    assert answer == slow.get("question", dict) == SECONDS


def answers(folder, seed, queue):
    timings = Timings(folder)
    queue.put([timings.get(f"question {i}", lambda i=i: {DIRECT: float(1 + seed + i)})[DIRECT] for i in range(200)])


@pytest.mark.slow
def test_two_processes_agree(tmp_path):
    context = multiprocessing.get_context("forkserver")
    queue = context.Queue()
    processes = [context.Process(target=answers, args=(tmp_path, seed, queue)) for seed in (0, 1000)]
    for process in processes:
        process.start()
    first, second = queue.get(timeout=60), queue.get(timeout=60)
    assert first == second
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".json"]


def test_a_folder_that_cannot_be_written_to_costs_the_measuring_alone(tmp_path):
    (tmp_path / "file").write_text("")
    assert Timings(tmp_path / "file" / "times").get("question", lambda: SECONDS) == SECONDS


def test_the_folder_tells_machines_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = cache_folder()
    assert here.parent == tmp_path / "adaptive-memory-vos/convolutions"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert cache_folder() != here
    monkeypatch.setattr("torch.get_num_threads", lambda: 77)
    assert "77_threads" in cache_folder().name


def test_a_tuned_network_computes_the_same(tiny_network, everything_is_worthwhile, monkeypatch):
    """All of its 3x3 convolutions by winograd; its stages and its windows."""
    monkeypatch.setattr("model.convolution.timings.Timings.get", lambda _self, _question, measured: measured())
    monkeypatch.setattr("model.convolution.tuned.measure", lambda _conv, algorithms, _size: {
        name: SECONDS.get(name, 2.0) for name in algorithms})
    plain, fast = prepare_for_inference(tiny_network), prepare_for_inference(tiny_network, tune=True)
    assert not isinstance(plain.decoder.predict, TunedConv2d)
    assert isinstance(fast.decoder.predict, TunedConv2d)
    frame, masks = torch.randn(1, 3, 64, 96), torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        results = []
        for network in (plain, fast):
            features = network.encode_key(frame)
            values = network.encode_value(frame, features.f16, masks)
            results.append([features.key, features.f4, values, network.segment(values, features)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
    assert set(algorithms_in_use(fast)) == {"winograd", DIRECT}


def test_a_compiled_network_and_one_on_a_gpu_are_not_tuned(tiny_network, monkeypatch):
    monkeypatch.setattr("torch.compile", lambda stage, **_: stage)      # seconds, for nothing that is asked here
    compiled = prepare_for_inference(tiny_network, compiled=True, tune=True)
    assert not any(isinstance(module, TunedConv2d) for module in compiled.modules())


def test_all_convolutions_inside_a_module_are_replaced():
    module = nn.Sequential(convolution(), nn.Sequential(nn.ReLU(), convolution(12, 4)))
    tune_convolutions(module, Timings(None))
    assert [type(each) for each in module.modules() if isinstance(each, nn.Conv2d)] == [TunedConv2d] * 2
    assert module(torch.randn(1, 8, 6, 6)).shape == (1, 4, 6, 6)
    assert math.prod(module[0].weight.shape) == 12 * 8 * 9
