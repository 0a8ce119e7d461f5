"""A compiled network: which one is compiled, for how many shapes, and what is loaded for it."""

import subprocess
import sys

import pytest
import torch

from model import STCN, NetworkConfig
from model.fast import prepare_for_inference
from scripts.benchmarks import stages

pytestmark = pytest.mark.slow

SMALL = NetworkConfig(key_backbone="resnet18", key_dim=8, value_dim=16, decoder_dims=(16, 8, 8))


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that PyTorch traces from now on; they run without a compiler."""
    compile, traced = torch.compile, []

    def keep(graph, inputs):
        traced.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda stage, mode, dynamic: compile(stage, backend=keep, dynamic=dynamic))
    yield traced
    torch._dynamo.reset()


@torch.inference_mode()
def test_a_network_is_compiled_for_more_than_eight_shapes(graphs):
    torch.manual_seed(0)
    network = prepare_for_inference(STCN(SMALL), compiled=True)
    for objects in range(1, 10):
        readout = torch.randn(1, objects, 16, 1, 1)
        network.encode_value(torch.randn(1, 3, 16, 16), readout.new_ones(1, 256, 1, 1), torch.rand(1, objects, 16, 16))
    assert len(graphs) == 9


@torch.inference_mode()
def test_a_prepared_network_can_be_compiled_later(graphs):
    prepared = prepare_for_inference(STCN(SMALL))
    compiled = prepare_for_inference(prepared, compiled=True)
    assert compiled.compiled
    assert not prepared.compiled
    assert compiled.decoder is prepared.decoder
    assert prepare_for_inference(compiled) is compiled
    assert prepare_for_inference(compiled, compiled=True) is compiled
    frame = torch.randn(1, 3, 32, 32)
    assert torch.equal(compiled.encode_key(frame).key, prepared.encode_key(frame).key)
    assert len(graphs) == 1


def test_a_compiled_stage_marks_its_steps_and_operations_are_counted_on_the_eager_network(graphs, monkeypatch):
    marks, network = [], prepare_for_inference(STCN(SMALL))
    for name, value in (("HEIGHT", 32), ("WIDTH", 32), ("SIDE", 64)):
        monkeypatch.setattr(stages, name, value)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marks.append(None))
    networks = network, prepare_for_inference(network, compiled=True)
    eager, compiled = (stages._stages(each, torch.device("cpu"), torch.float32) for each in networks)
    assert all(stages._flops(call) > 0 for call in eager.values())
    assert not marks
    for call in compiled.values():
        call()
    assert len(marks) == len(compiled)


def test_nothing_of_the_compiler_is_loaded_for_an_eager_network():
    program = (
        "import sys, numpy as np, torch\n"
        "from inference import VideoSegmenter, build_memory\n"
        "from model import STCN, NetworkConfig\n"
        "from tests.pretended_gpu import pretended_gpu\n"
        "before = 'torch._inductor.cudagraph_trees' in sys.modules\n"
        "with pretended_gpu():\n"
        "    network = STCN(NetworkConfig(key_backbone='resnet18', key_dim=8, value_dim=16, decoder_dims=(16, 8, 8)))\n"
        "    segmenter = VideoSegmenter(network.to('cuda'), build_memory('lfu'))\n"
        "    segmenter.step(np.zeros((16, 16, 3), np.uint8), np.ones((16, 16), np.uint8))\n"
        "sys.exit(not before and 'torch._inductor.cudagraph_trees' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
