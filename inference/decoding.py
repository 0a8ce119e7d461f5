"""How a segmenter decodes: the whole frame, or only the windows where an object can be."""

import torch
from torch import Tensor

from model.cells import cell_means
from model.encoders import FrameFeatures
from model.network import STCN
from model.window_decoder import decode_windows
from model.windows import Window, find_windows


class FullDecoding:
    """Decodes every pixel. Values are those of the network."""

    def __init__(self, network: STCN) -> None:
        self.network = network

    def encode_value(self, image: Tensor, features: FrameFeatures, masks: Tensor) -> Tensor:
        """What the bank stores of a frame [1, 3, H', W'] with masks [objects, H', W']: [objects, C_v, h, w]."""
        return self.network.encode_value(image, features.f16, masks[None])[0]

    def logits(self, readout: Tensor, features: FrameFeatures) -> Tensor:
        """What the bank returned, [objects, C_v, h, w] -> [objects, H', W']."""
        return self.network.segment(readout[None], features)[0]


class WindowDecoding(FullDecoding):
    """Decodes only where an object can be.

    The evidence is the soft mask of the memory entries: each value has one more channel with it, which a read
    propagates to the current frame.
    """

    def encode_value(self, image: Tensor, features: FrameFeatures, masks: Tensor) -> Tensor:
        values = super().encode_value(image, features, masks)
        return torch.cat([values, cell_means(masks)[:, None].to(values.dtype)], 1)

    def logits(self, readout: Tensor, features: FrameFeatures) -> Tensor:
        readout, evidence = readout[:, :-1], readout[:, -1]
        windows = self.find_windows(evidence)
        if windows is None:
            return super().logits(readout, features)
        return decode_windows(self.network.decoder, readout, features, windows)

    def find_windows(self, evidence: Tensor) -> list[list[Window]] | None:
        """The windows of each object from its evidence [objects, h, w]; None: decode the whole frame."""
        return find_windows(evidence)


DECODINGS = {"full": FullDecoding, "window": WindowDecoding}
