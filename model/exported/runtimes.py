"""What runs the graphs of an exported network: a class per kind. All of them compute on the CPU, in fp32."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.errors import CheckpointError
from model.exported.graphs import STAGES, Signature, Stage
from model.exported.manifest import Kind, Manifest
from model.exported.packages import need

Graph = Callable[..., Sequence[Tensor]]     # the tensors of a signature's inputs -> those of its outputs


def load_graphs(folder: Path, manifest: Manifest, signatures: dict[Stage, Signature]) -> dict[Stage, Graph]:
    """The graphs of an exported network, ready to run, with as many threads as PyTorch uses now.

    Raises CheckpointError for a graph that the runtime cannot load, and ConfigError if its package is missing.
    """
    load = LOADERS[manifest.kind](f"{folder}, a network exported as {manifest.kind}")
    graphs = {}
    for stage in STAGES:
        path = manifest.graph(folder, stage)
        try:
            graphs[stage] = load(path, signatures[stage])
        except Exception as error:      # each runtime has errors of its own
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise CheckpointError(f"{path}: expected a graph that this version of {manifest.kind} can run "
                                  f"(it was made with {manifest.made_with}), found: {said[0]}; export again") from None
    return graphs


def _onnx(purpose: str) -> Callable[[Path, Signature], Graph]:
    runtime = need("onnxruntime", purpose)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.force_spinning_stop", "1")     # PyTorch needs the cores in between

    def load(path: Path, signature: Signature) -> Graph:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [info.name for info in signature[0]]

        def run(*inputs: Tensor) -> list[Tensor]:
            feed = {name: tensor.contiguous().numpy() for name, tensor in zip(names, inputs, strict=True)}
            return [torch.from_numpy(output) for output in session.run(None, feed)]
        return run
    return load


def _openvino(purpose: str) -> Callable[[Path, Signature], Graph]:
    openvino = need("openvino", purpose)
    core = openvino.Core()
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": torch.get_num_threads(),
               "INFERENCE_PRECISION_HINT": "f32"}       # by default bf16 on CPUs that compute it

    def load(path: Path, signature: Signature) -> Graph:
        compiled: Any = core.compile_model(path, "CPU", options)

        def run(*inputs: Tensor) -> list[Tensor]:
            found = compiled([tensor.contiguous().numpy() for tensor in inputs], share_inputs=True)
            return [torch.from_numpy(found[index]) for index in range(len(signature[1]))]
        return run
    return load


def _torchscript(_purpose: str) -> Callable[[Path, Signature], Graph]:
    def load(path: Path, signature: Signature) -> Graph:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")             # newer versions of PyTorch call TorchScript deprecated
            module: Any = torch.jit.load(path, map_location="cpu")
        return _of_torch(module, len(signature[1]))
    return load


def _pt2(_purpose: str) -> Callable[[Path, Signature], Graph]:
    def load(path: Path, signature: Signature) -> Graph:
        return _of_torch(torch.export.load(path).module(), len(signature[1]))
    return load


def _of_torch(module: Any, outputs: int) -> Graph:
    return module if outputs > 1 else lambda *inputs: (module(*inputs),)


LOADERS: dict[Kind, Callable[[str], Callable[[Path, Signature], Graph]]] = {
    "onnx": _onnx, "openvino": _openvino, "torchscript": _torchscript, "pt2": _pt2,
}
