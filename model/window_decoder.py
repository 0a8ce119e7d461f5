"""Decoding in windows: what `model.decoder` computes, in the windows of each object alone.

Each stage is given as much of a window's surroundings as its receptive field needs, so that the logits inside are those
of the whole frame. All windows go through a stage together (`model.partial_convolution`).
"""

import torch
from torch import Tensor

from model.decoder import Decoder, upsample
from model.encoders import FrameFeatures
from model.geometry import STRIDE
from model.partial_convolution import block_of_windows, convolve_windows, residual_block_of_parts, shrink
from model.windows import Window, merged

LOST = 3            # pixels that the first refinement stage loses at each side: enlarging spoils one, convolutions two
MARGIN = 3          # input margin of a refinement stage, in pixels, that leaves an equal output margin
LAST_MARGIN = 4     # pixels at stride 4 that the last stage computes on each side: it loses three, enlarging one more
OUTSIDE = -30.0     # logit of a pixel that is not decoded: background


def decode_windows(
    decoder: Decoder, readout: Tensor, features: FrameFeatures, windows: list[list[Window]]
) -> Tensor:
    """Read-out [objects, C_v, h, w] of one frame and each object's windows -> logits [objects, 16h, 16w].

    Logits outside the windows are OUTSIDE, except for a collar of one cell around each: there they are approximate.
    """
    objects, _, h, w = readout.shape
    dtype = torch.promote_types(readout.dtype, torch.float32)
    logits = readout.new_full((objects, STRIDE * h, STRIDE * w), OUTSIDE, dtype=dtype)
    flat = [(number, window) for number, several in enumerate(windows) for window in several]
    if not flat:
        return logits
    x = _compress(decoder, readout, features, windows)
    x = _refine8(decoder, x, features, [window for _, window in flat])
    parts = _refine4(decoder, x, features, [window for _, window in flat])
    for (number, _), (collared, part) in zip(flat, parts, strict=True):
        collared.crop(logits[number]).copy_(part)
    for (number, window), (collared, part) in zip(flat, parts, strict=True):     # over other windows' collars
        pixels = window.scaled(STRIDE)
        pixels.crop(logits[number]).copy_(pixels.within(collared).crop(part))
    return logits


def _compress(
    decoder: Decoder, readout: Tensor, features: FrameFeatures, windows: list[list[Window]]
) -> list[Tensor]:
    """Compressed features [1, C, ...] of each window with its MARGIN, first those of the first object.

    Windows of an object whose margins overlap much are computed as one.
    """
    height, width = readout.shape[2:]
    wide = [[window.grown(MARGIN, height, width) for window in several] for several in windows]
    regions = [(number, region) for number, several in enumerate(wide) for region in merged(several, height, width)]
    computed = block_of_windows(decoder.compress, readout, features.thin, regions)
    return [
        next(window.within(region).crop(x) for (owner, region), x in zip(regions, computed, strict=True)
             if owner == number and region.contains(window))
        for number, several in enumerate(wide) for window in several
    ]


def _refine8(decoder: Decoder, x: list[Tensor], features: FrameFeatures, windows: list[Window]) -> list[Tensor]:
    """Compressed features of windows with their MARGIN -> features at stride 8, with the same margin in pixels."""
    height, width = features.thin.shape[2:]
    wide = [window.grown(MARGIN, height, width) for window in windows]
    edges = [each.edges(height, width) for each in wide]
    summed = [each.scaled(2).shrunk(1, own) for each, own in zip(wide, edges, strict=True)]
    skips = convolve_windows(decoder.refine8.skip_conv, features.f8, summed)
    parts = [shrink(upsample(part, 2), 1, own) + skip for part, own, skip in zip(x, edges, skips, strict=True)]
    parts = residual_block_of_parts(decoder.refine8.out_block, parts, edges)
    inner = [each.scaled(2).shrunk(LOST, own) for each, own in zip(wide, edges, strict=True)]
    needed = [window.scaled(2).grown(MARGIN, 2 * height, 2 * width) for window in windows]
    return [each.within(region).crop(part) for each, region, part in zip(needed, inner, parts, strict=True)]


def _refine4(
    decoder: Decoder, x: list[Tensor], features: FrameFeatures, windows: list[Window]
) -> list[tuple[Window, Tensor]]:
    """Features of windows with their margin at stride 8 -> the pixels of each window and its collar, and their logits.

    This stage adds zeros around its part as if it were a frame. They spoil the margin but not the window, and the
    collar costs nothing extra.
    """
    height, width = features.thin.shape[2:]
    wide = [window.scaled(4).grown(LAST_MARGIN, 4 * height, 4 * width) for window in windows]
    skips = convolve_windows(decoder.refine4.skip_conv, features.f4, wide)
    logits = []
    for window, own, part, skip in zip(windows, wide, x, skips, strict=True):
        before = window.scaled(2).grown(MARGIN, 2 * height, 2 * width)
        summed = own.within(before.scaled(2)).crop(upsample(part, 2)) + skip
        logits.append((own.scaled(4), decoder.logits(decoder.refine4.out_block(summed))[0]))
    return logits
