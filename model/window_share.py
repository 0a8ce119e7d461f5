"""How large windows may be: the share of a frame from which on they take as long as the whole frame.

It depends on the machine and on the algorithms of its convolutions (`model.convolution`), so it is measured: once per
machine, like these.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from model.convolution.measuring import time_of
from model.convolution.timings import Seconds, Timings
from model.convolution.tuned import TunedConv2d
from model.decoder import Decoder
from model.encoders import FrameFeatures
from model.network import STCN
from model.window_decoder import decode_windows
from model.windows import Window, cost_of

MINIMUM = 1e9           # operations of the last stage from which windows can pay; with fewer, whole frames
LEAST = 12              # rows and columns of cells: the margins of windows cover smaller frames
MOST = 3                # objects with which it is measured
SIDES = (0.4, 0.7)      # of a frame, of the windows that are timed
GAIN = 1.05             # by which windows have to be faster
_WHOLE = "whole"


def largest_share(
    network: STCN, objects: int, features: FrameFeatures, readout: Callable[[slice], Tensor], timings: Timings
) -> float:
    """The share in [0, 1] of the cells of all objects below which windows are faster. 0: never.

    features: of a frame. readout: of some of its objects, [objects, C_v, h, w], needed if nothing is known yet.
    """
    height, width = features.thin.shape[2:]
    if min(height, width) < LEAST or _operations(network.decoder, height, width) < MINIMUM:
        return 0.0
    objects = min(objects, MOST)
    question = f"{_description(network)}, {height} x {width} cells, objects {objects}"
    seconds = timings.get(question, lambda: _measure(network, readout(slice(objects)), features))
    return _share(seconds, objects, height, width)


def _operations(decoder: Decoder, height: int, width: int) -> int:
    pixels = 16 * height * width
    return 2 * pixels * sum(weights.numel() for weights in decoder.refine4.parameters())


def _description(network: STCN) -> str:
    kind = str(next(network.decoder.parameters()).dtype).removeprefix("torch.")
    widths = "-".join(map(str, (network.config.value_dim, *network.config.decoder_dims)))
    tuned = any(isinstance(module, TunedConv2d) for module in network.decoder.modules())
    return f"decoder {widths}, {kind}, {'tuned' if tuned else 'not tuned'}"


@torch.inference_mode()
def _measure(network: STCN, readout: Tensor, features: FrameFeatures) -> Seconds:
    """Seconds of the whole frame, and of a window of each size in the middle for every object: of the fastest call,
    since the first one may choose algorithms."""
    objects, _, height, width = readout.shape
    seconds = {_WHOLE: time_of(lambda: network.segment(readout[None], features))[0]}
    for side in SIDES:
        windows = [[_middle(side, height, width)]] * objects
        seconds[str(side)], _ = time_of(
            lambda: decode_windows(network.decoder, readout, features, windows))         # noqa: B023
    return seconds


def _middle(side: float, height: int, width: int) -> Window:
    top, left = round(height * (1 - side) / 2), round(width * (1 - side) / 2)
    return Window(top, height - top, left, width - left)


def _share(seconds: Seconds, objects: int, height: int, width: int) -> float:
    """Where the line through the times of both windows reaches that of the whole frame, less GAIN."""
    whole, small, large = (seconds.get(name) or 0.0 for name in (_WHOLE, *map(str, SIDES)))
    costs = [objects * cost_of(_middle(side, height, width), height, width) for side in SIDES]
    per_cell = max(large - small, 1e-9) / (costs[1] - costs[0])
    cells = costs[0] + (whole / GAIN - small) / per_cell
    return min(max(cells / (objects * height * width), 0.0), 1.0)
