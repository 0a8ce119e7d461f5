"""Decoding in windows: what `model.decoder` computes, in the windows of each object alone.

Each stage is given as much of a window's surroundings as its receptive field needs, so that the logits inside are those
of the whole frame.
"""

import torch
from torch import Tensor

from model.decoder import Decoder, upsample
from model.encoders import FrameFeatures
from model.geometry import STRIDE
from model.partial_convolution import convolve_parts, residual_block_of_part, shrink
from model.windows import Window, enclosing

LOST = 3            # pixels that a refinement stage loses at each side of a part of a frame: three 3x3 convolutions
MARGIN = 3          # input margin of a refinement stage, in pixels, that leaves an equal output margin
OUTSIDE = -30.0     # logit of a pixel that is not decoded: background


def decode_windows(
    decoder: Decoder, readout: Tensor, features: FrameFeatures, windows: list[list[Window]],
    chunk: slice = slice(None),
) -> Tensor:
    """Read-out [objects, C_v, h, w] of one frame and each object's windows -> logits [objects, 16h, 16w].

    chunk: which of the frame's objects these are (`windows` are those of all); the logits do not depend on it.
    Logits outside the windows are OUTSIDE, except for a collar of one cell around each: there they are approximate.
    """
    objects, _, h, w = readout.shape
    dtype = torch.promote_types(readout.dtype, torch.float32)
    logits = readout.new_full((objects, STRIDE * h, STRIDE * w), OUTSIDE, dtype=dtype)
    if not any(windows[chunk]):
        return logits
    outer = enclosing([window for several in windows for window in several])
    outer = outer.grown(MARGIN + 2, h, w)                  # compress has two 3x3 convolutions
    x = decoder.compress(outer.crop(readout), outer.crop(features.thin))
    flat = [(number, window) for number, several in enumerate(windows[chunk]) for window in several]
    parts = _refine_windows(decoder, x, outer, features, flat)
    for (number, _), (collared, part) in zip(flat, parts, strict=True):
        collared.crop(logits[number]).copy_(part)
    for (number, window), (collared, part) in zip(flat, parts, strict=True):     # over other windows' collars
        pixels = window.scaled(STRIDE)
        pixels.crop(logits[number]).copy_(pixels.within(collared).crop(part))
    return logits


def _refine_windows(
    decoder: Decoder, x: Tensor, outer: Window, features: FrameFeatures, windows: list[tuple[int, Window]]
) -> list[tuple[Window, Tensor]]:
    """Compressed features [objects, C, ...] of `outer` -> for each (object, window): the pixels of the window and its
    collar, and their logits.

    The last stage adds zeros around its part as if it were a frame. They spoil the margin but not the window, and the
    collar costs nothing extra.
    """
    height, width = features.thin.shape[2:]
    wide8 = [window.grown(MARGIN, height, width) for _, window in windows]
    edges8 = [wide.edges(height, width) for wide in wide8]
    wide4 = [window.scaled(2).grown(MARGIN, 2 * height, 2 * width) for _, window in windows]
    skips8 = convolve_parts(
        decoder.refine8.skip_conv, features.f8,
        [wide.scaled(2).shrunk(1, edges) for wide, edges in zip(wide8, edges8, strict=True)],
    )
    skips4 = convolve_parts(decoder.refine4.skip_conv, features.f4, [wide.scaled(2) for wide in wide4])
    parts = []
    for i, (number, window) in enumerate(windows):
        own = upsample(wide8[i].within(outer).crop(x[number, None]), 2)
        own = residual_block_of_part(decoder.refine8.out_block, shrink(own, 1, edges8[i]) + skips8[i], edges8[i])
        inner = wide8[i].scaled(2).shrunk(LOST, edges8[i])
        own = decoder.refine4.out_block(upsample(wide4[i].within(inner).crop(own), 2) + skips4[i])
        collared = window.grown(1, height, width).scaled(STRIDE)
        parts.append((collared, collared.within(wide4[i].scaled(8)).crop(decoder.logits(own)[0])))
    return parts
