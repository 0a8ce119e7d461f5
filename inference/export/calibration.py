"""What the graphs of an export are given on real frames, from which the ranges of 8-bit integers are taken."""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
import torch

from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from inference.export.clip import of_size, thirds
from inference.memory import build_memory
from inference.segmenter import VideoSegmenter
from model.exported.graphs import Stage, signatures
from model.exported.int8 import WEIGHT_BITS, Inputs
from model.exported.network import ExportedNetwork
from model.exported.runtimes import Graph

FRAMES, EVERY = 3, 5           # of a sequence: how many, and every which; all of them but the last are stored


def recorded_calls(
    network: ExportedNetwork, sequences: Sequence[FolderSequence], done: Callable[[str], object] = print
) -> dict[Stage, list[Inputs]]:
    """Segment the first frames of sequences, with one object and with its three parts, and keep the graphs' inputs.

    Args:
        network: in fp32. Frames of another size are resized. done: told after each sequence.
    Raises DatasetError for a sequence without an object in its first frame.
    """
    calls: dict[Stage, list[Inputs]] = {stage: [] for stage in WEIGHT_BITS}
    given = signatures(network.config, network.size)
    original = dict(network.graphs)
    for stage, kept in calls.items():
        network.graphs[stage] = _recorder(original[stage], [info.name for info in given[stage][0]], kept)
    try:
        for sequence in sequences:
            _segment(network, sequence)
            done(sequence.name)
    finally:
        network.graphs.update(original)
    return calls


def _recorder(graph: Graph, names: list[str], kept: list[Inputs]) -> Graph:
    def run(*inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        kept.append({name: tensor.contiguous().numpy().copy() for name, tensor in zip(names, inputs, strict=True)})
        return graph(*inputs)
    return run


def _segment(network: ExportedNetwork, sequence: FolderSequence) -> None:
    frames = list(islice(sequence, 0, 1 + EVERY * (FRAMES - 1), EVERY))
    first = frames[0].annotation
    if first is None or not (first > 0).any():
        raise DatasetError(f"{sequence.frames[0]}: expected an annotation that shows an object, found none; choose "
                           "other --int8-sequences")
    images = [of_size(frame.image, network.size) for frame in frames]
    shown = of_size((first > 0).astype(np.uint8), network.size)
    for labels in (shown, thirds(shown > 0)):
        segmenter = VideoSegmenter(network, build_memory("lfu", frames=2), memory_every=1)
        for index, image in enumerate(images):
            segmenter.step(image, labels if index == 0 else None)
