"""8-bit integers in an exported network: its decoder and value encoder, quantized by ONNX Runtime.

Activations are unsigned with one range per tensor, weights signed with one scale per output channel. On processors
without VNNI, sums of two products of 8 bits saturate at 16 bits. This spoils the values, so the value encoder has
weights of 7 bits (docs/SPEED.md). The key encoder stays in fp32: keys decide which entries are read.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from model.exported.graphs import Stage
from model.exported.manifest import Manifest, checksum
from model.exported.packages import need

WEIGHT_BITS: dict[Stage, int] = {"value": 7, "segment": 8}
Inputs = Mapping[str, np.ndarray]           # one call of a graph: its input tensors by name


def quantize(
    folder: Path, manifest: Manifest, calls: Mapping[Stage, Sequence[Inputs]], done: Callable[[str], object] = print
) -> Manifest:
    """Replace graphs of an ONNX export by quantized ones, and its manifest.

    Args:
        calls: examples of each graph's inputs; the range of every activation is the smallest that contains those seen.
        done: told after each stage.
    Raises ConfigError if a package is missing.
    """
    quantization: Any = need("onnxruntime.quantization", "--int8")
    for stage, bits in WEIGHT_BITS.items():
        graph = manifest.graph(folder, stage)
        with TemporaryDirectory(dir=folder) as between:
            prepared = Path(between) / graph.name
            _quietly(quantization.shape_inference.quant_pre_process, str(graph), str(prepared),
                     skip_symbolic_shape=True, skip_optimization=True)
            _quietly(
                quantization.quantize_static, str(prepared), str(graph), _Reader(calls[stage]), per_channel=True,
                reduce_range=bits == 7, activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        done(f"{stage}, int8")
    listed = (checksum(folder / each.file) for each in manifest.files)
    manifest = replace(manifest, files=tuple(listed), int8=True)
    manifest.write(folder)
    return manifest


class _Reader:
    """The calls, one at a time, in the form that ONNX Runtime asks for."""

    def __init__(self, calls: Sequence[Inputs]) -> None:
        self._calls: Iterator[Inputs] = iter(calls)

    def get_next(self) -> Inputs | None:
        return next(self._calls, None)


def _quietly(function: Callable[..., object], *arguments: Any, **options: Any) -> None:
    """Without the advice that ONNX Runtime logs at every call."""
    logging.disable(logging.WARNING)
    try:
        function(*arguments, **options)
    finally:
        logging.disable(logging.NOTSET)
