"""How closely an exported network agrees with PyTorch, frame by frame and over a whole clip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from inference.memory import MemoryBank, build_memory
from inference.segmenter import VideoSegmenter
from model.encoders import FrameFeatures
from model.exported.network import ExportedNetwork
from model.network import STCN

TOLERANCE = 1e-3      # the largest relative error of a good export
INT8_TOLERANCE = 0.1  # the same, if parts of it compute in 8-bit integers


@dataclass(frozen=True)
class TensorParity:
    """An output of a graph over all frames."""

    name: str
    error: float       # the largest |exported - PyTorch| of a frame over the range (maximum - minimum) of PyTorch's
    low: float         # the extremes of PyTorch's
    high: float


@dataclass(frozen=True)
class Parity:
    """The result of `compare`."""

    frames: str                     # what was compared, for people
    tolerance: float                # the largest error that is allowed
    tensors: list[TensorParity]
    same_labels: dict[int, float]   # number of objects -> share of the pixels, of a clip that each network segmented

    @property
    def error(self) -> float:
        return max(tensor.error for tensor in self.tensors)


class ComparedNetwork(STCN):
    """Runs an exported network beside the PyTorch network, on the same inputs, and returns PyTorch's outputs."""

    prepared = "fp32"

    def __init__(self, reference: STCN, exported: ExportedNetwork) -> None:
        nn.Module.__init__(self)
        self.config, self.reference, self.exported = reference.config, reference, exported
        self.found: dict[str, TensorParity] = {}

    def encode_key(self, frame: Tensor) -> FrameFeatures:
        expected, found = self.reference.encode_key(frame), self.exported.encode_key(frame)
        for name, tensor in vars(expected).items():
            self._compare(name, getattr(found, name), tensor)
        return expected

    def encode_value(self, frame: Tensor, f16: Tensor, masks: Tensor, others: Tensor | None = None) -> Tensor:
        values = self.reference.encode_value(frame, f16, masks, others)
        return self._compare("values", self.exported.encode_value(frame, f16, masks, others), values)

    def segment(self, readout: Tensor, features: FrameFeatures) -> Tensor:
        logits = self.reference.segment(readout, features)
        return self._compare("logits", self.exported.segment(readout, features), logits)

    def _compare(self, name: str, found: Tensor, expected: Tensor) -> Tensor:
        if found.shape != expected.shape:
            raise ValueError(f"{name}: expected the shape {[*expected.shape]}, found {[*found.shape]}")
        low, high = expected.min().item(), expected.max().item()
        error = ((found - expected).abs().max() / max(high - low, 1e-30)).nan_to_num(torch.inf).item()
        before = self.found.get(name, TensorParity(name, 0.0, low, high))
        self.found[name] = TensorParity(name, max(before.error, error), min(before.low, low), max(before.high, high))
        return expected


def compare(
    reference: STCN, exported: ExportedNetwork, frames: Sequence[np.ndarray], labels: np.ndarray, source: str,
    done: Callable[[str], object] = print,
) -> Parity:
    """Segment a clip with one object and with all, with both networks.

    Args:
        reference: in fp32, as it was loaded. frames: [H, W, 3] uint8 RGB. labels: [H, W] of the first frame, objects
        from 1. source: what the frames are, for people. done: told after each frame, with the number of objects.
    """
    compared, same = ComparedNetwork(reference, exported), {}
    for objects in sorted({1, int(labels.max())}):
        given = np.where(labels <= objects, labels, 0).astype(np.uint8)
        segmenters = [VideoSegmenter(network, _bank(), memory_every=5) for network in (compared, exported)]
        equal = []
        for index, frame in enumerate(frames):
            first, second = (
                segmenter.labels(segmenter.step(frame, given if index == 0 else None)) for segmenter in segmenters
            )
            equal.append(float((first == second).mean()))
            done(f"{objects} objects")
        same[objects] = float(np.mean(equal))
    tolerance = INT8_TOLERANCE if exported.manifest.int8 else TOLERANCE
    return Parity(source, tolerance, list(compared.found.values()), same)


def _bank() -> MemoryBank:
    return build_memory("lfu", frames=2)
