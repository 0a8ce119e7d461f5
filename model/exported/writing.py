"""Writing a network's graphs to a folder, in one of the formats of `SUFFIXES`."""

import shutil
import tomllib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.errors import ConfigError
from model.exported.graphs import OBJECTS, Signature, graphs_of, signatures
from model.exported.manifest import Kind, Manifest, checksum, is_exported
from model.exported.packages import PACKAGES, need, need_all
from model.geometry import STRIDE, grid_size
from model.network import STCN

MOST_OBJECTS = 254                 # numbers of a label map


@contextmanager
def new_export(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A hidden folder to write to, which becomes `folder` at the end; after an error nothing is left of it.

    Raises ConfigError if `folder` is there already: with `overwrite`, if it is anything but an exported network.
    """
    if folder.exists() and not (overwrite and is_exported(folder)):
        raise ConfigError(f"{folder}: expected a new folder, found one; choose another --output"
                          + ("" if overwrite else ", or give --overwrite to replace an exported network"))
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_graphs(
    network: STCN, kind: Kind, size: tuple[int, int], weights: tuple[str, str], folder: Path,
    done: Callable[[str], object] = print,
) -> Manifest:
    """Write the graphs of `network`, and then the manifest.

    Args:
        size: (H, W) of the frames; sides are rounded up to multiples of 16. weights: their name and their SHA-256.
        done: told after each stage.
    Raises ConfigError if a package is missing.
    """
    need_all(kind, writing=True)
    height, width = (cells * STRIDE for cells in grid_size(size))
    given = signatures(network.config, (height, width))
    manifest = Manifest(kind, (height, width), network.config, *weights, _made_with(kind), ())
    for stage, graph in graphs_of(network).items():
        with torch.no_grad():
            WRITERS[kind](graph, given[stage], manifest.graph(folder, stage))
        done(stage)
    files = tuple(checksum(path) for path in sorted(folder.iterdir()))
    manifest = Manifest(**{**vars(manifest), "files": files})
    manifest.write(folder)
    return manifest


def _torchscript(graph: nn.Module, signature: Signature, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")                 # newer versions of PyTorch call TorchScript deprecated
        traced: Any = torch.jit.trace(graph, _examples(signature), check_trace=False)
        torch.jit.save(traced, path)


def _pt2(graph: nn.Module, signature: Signature, path: Path) -> None:
    torch.export.save(_exported(graph, signature), path)


def _onnx(graph: nn.Module, signature: Signature, path: Path) -> None:
    inputs, outputs = ([info.name for info in side] for side in signature)
    torch.onnx.export(_exported(graph, signature), (), path, input_names=inputs, output_names=outputs, dynamo=True,
                      external_data=False, verbose=False)


def _openvino(graph: nn.Module, signature: Signature, path: Path) -> None:
    """By way of ONNX, which keeps the names and the shapes."""
    openvino, between = need("openvino", "--to openvino"), path.with_suffix(".onnx")
    _onnx(graph, signature, between)
    openvino.save_model(openvino.Core().read_model(between), path, compress_to_fp16=False)
    between.unlink()


WRITERS: dict[Kind, Callable[[nn.Module, Signature, Path], None]] = {
    "onnx": _onnx, "openvino": _openvino, "torchscript": _torchscript, "pt2": _pt2,
}


def _exported(graph: nn.Module, signature: Signature) -> torch.export.ExportedProgram:
    objects = torch.export.Dim(OBJECTS, min=1, max=MOST_OBJECTS)
    shapes = tuple({0: objects} if info.per_object else None for info in signature[0])
    program = torch.export.export(graph, _examples(signature), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)              # paths of this machine
    return program


def _examples(signature: Signature) -> tuple[Tensor, ...]:
    return tuple(info.example() for info in signature[0])


def _made_with(kind: Kind) -> str:
    """Names and versions of what an export depends on."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    own = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    packages = ("torch", *PACKAGES[kind][0], *(name for name in PACKAGES[kind][1] if name not in PACKAGES[kind][0]))
    return ", ".join([f"{own['name']} {own['version']}", *(f"{name} {metadata.version(name)}" for name in packages)])
