"""How a segmenter decodes: the whole frame, or windows where an object can be, or what is faster; all objects at once,
or a few."""

import torch
from torch import Tensor

from inference.memory.found import Found
from model.cells import cell_means
from model.convolution.timings import Timings, cache_folder
from model.encoders import FrameFeatures
from model.network import STCN
from model.window_decoder import decode_windows
from model.window_share import largest_share
from model.windows import LARGEST_SHARE, Window, find_windows

_EVIDENCE = slice(-1, None)       # the channel of a value that WindowDecoding adds


class FullDecoding:
    """Decodes every pixel. Values are those of the network.

    at_once: how many objects the network sees at once; None: all. The masks are the same up to rounding, and what is
    computed in between takes memory for so many objects only.
    """

    def __init__(self, network: STCN, at_once: int | None = None) -> None:
        self.network, self.at_once = network, at_once

    def encode_value(self, image: Tensor, features: FrameFeatures, masks: Tensor) -> Tensor:
        """What the bank stores of a frame [1, 3, H', W'] with masks [objects, H', W']: [objects, C_v, h, w]."""
        chunks = self.chunks(len(masks))
        if len(chunks) == 1:
            return self.network.encode_value(image, features.f16, masks[None])[0]
        everyone = masks.sum(0)
        return torch.cat([
            self.network.encode_value(image, features.f16, masks[None, chunk], (everyone - masks[chunk])[None])[0]
            for chunk in chunks
        ])

    def logits(self, found: Found, features: FrameFeatures) -> Tensor:
        """What a frame finds in the bank -> [objects, H', W']."""
        chunks = self.chunks(found.objects)
        return _joined([self.network.segment(found.values(chunk)[None], features)[0] for chunk in chunks])

    def chunks(self, objects: int) -> list[slice]:
        """The objects that the network sees together, by order of appearance."""
        at_once = self.at_once or objects
        return [slice(start, min(start + at_once, objects)) for start in range(0, objects, at_once)]


class WindowDecoding(FullDecoding):
    """Decodes only where an object can be.

    The evidence is the soft mask of the memory entries: each value has one more channel with it, which a read
    propagates to the current frame. Raises ValueError for an exported network, whose decoder is one graph.
    """

    def __init__(self, network: STCN, at_once: int | None = None) -> None:
        super().__init__(network, at_once)
        self.largest_share = LARGEST_SHARE
        if not hasattr(network, "decoder"):
            raise ValueError("decode: expected full for an exported network, found window, which needs its layers")

    def encode_value(self, image: Tensor, features: FrameFeatures, masks: Tensor) -> Tensor:
        values = super().encode_value(image, features, masks)
        return torch.cat([values, cell_means(masks)[:, None].to(values.dtype)], 1)

    def logits(self, found: Found, features: FrameFeatures) -> Tensor:
        chunks = self.chunks(found.objects)
        if len(chunks) == 1:
            values = found.values()
            return self._decode(values[:, :-1], features, self.find_windows(values[:, -1]))
        windows = self.find_windows(found.values(channels=_EVIDENCE)[:, 0])
        return torch.cat([
            self._decode(found.values(chunk)[:, :-1], features, None if windows is None else windows[chunk])
            for chunk in chunks
        ])

    def _decode(self, readout: Tensor, features: FrameFeatures, windows: list[list[Window]] | None) -> Tensor:
        if windows is None:
            return self.network.segment(readout[None], features)[0]
        return decode_windows(self.network.decoder, readout, features, windows)

    def find_windows(self, evidence: Tensor) -> list[list[Window]] | None:
        """The windows of each object from its evidence [objects, h, w]; None: decode the whole frame."""
        return find_windows(evidence, self.largest_share)


class AutoDecoding(WindowDecoding):
    """Decodes in windows where this machine is faster with them, as it was once measured (`model.window_share`)."""

    def __init__(self, network: STCN, at_once: int | None = None) -> None:
        super().__init__(network, at_once)
        self.timings = Timings(cache_folder())

    def logits(self, found: Found, features: FrameFeatures) -> Tensor:
        def readout(some: slice) -> Tensor:
            return found.values(some)[:, :-1]

        self.largest_share = largest_share(self.network, found.objects, features, readout, self.timings)
        return super().logits(found, features)


DECODINGS = {"full": FullDecoding, "window": WindowDecoding, "auto": AutoDecoding}


def chosen_decoding(decode: str, network: STCN, plain: bool) -> str:
    """What a name of DECODINGS becomes for this network. "auto" becomes "full" on a GPU, where windows have not been
    measured, and where there can be none: an exported or compiled network, the plain path.

    Raises ValueError for another name.
    """
    if decode not in DECODINGS:
        raise ValueError(f"decode: expected one of {', '.join(DECODINGS)}, found {decode!r}")
    layers = hasattr(network, "decoder") and not network.compiled
    return "full" if decode == "auto" and (plain or not layers or network.device.type != "cpu") else decode


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
