"""How frames enter the network: in its precision and layout, normalized and padded."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from inference.transfer import upload
from model.encoders import FrameFeatures
from model.fast import prepare_for_inference
from model.geometry import padding
from model.network import STCN
from model.normalization import normalize
from model.precision import PRECISIONS, resolve_precision


@dataclass(frozen=True)
class Encoded:
    """A frame as the network sees it, and its features."""

    image: Tensor             # [1, 3, H', W'], normalized and padded
    features: FrameFeatures


class FrameEncoder:
    """A network made ready for frames.

    Args:
        network: on the device to compute on. precision, plain: as of `inference.segmenter.VideoSegmenter`.
    """

    def __init__(self, network: STCN, precision: str, plain: bool) -> None:
        self.device = network.device
        precision = resolve_precision(precision, self.device)
        plain = plain or precision == "fp64"
        self.plain, self.precision = plain, "fp32" if plain and precision != "fp64" else precision
        self.network = _plain(network, precision) if plain else prepare_for_inference(network, precision)
        self.layout = torch.contiguous_format if plain else torch.channels_last
        self.dtype = PRECISIONS[self.precision]

    @property
    def mask_dtype(self) -> torch.dtype:
        """Of frames before the network, and of probabilities after it."""
        return torch.float64 if self.precision == "fp64" else torch.float32

    def encode(self, frame: np.ndarray) -> Encoded:
        """Encode a frame [H, W, 3] uint8 RGB (or float32 in the same units)."""
        if self.network.compiled:
            torch.compiler.cudagraph_mark_step_begin()      # graphs may overwrite the outputs of the previous frame
        image = upload(frame, self.device).permute(2, 0, 1)
        padded = pad(normalize(image, self.mask_dtype), padding((frame.shape[0], frame.shape[1])))[None]
        image = padded.to(self.dtype, memory_format=self.layout)
        return Encoded(image, self.network.encode_key(image))


def checked_frame(
    frame: np.ndarray, size: tuple[int, int] | None, index: int, dtype: type[np.generic] = np.uint8
) -> tuple[int, int]:
    """The size (H, W) of frame `index`. Raises ValueError for anything but [H, W, 3] `dtype` of `size` (None: any)."""
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != dtype:
        raise ValueError(f"frame {index}: expected [H, W, 3] {dtype.__name__} RGB, found {frame.shape} {frame.dtype}")
    found = (frame.shape[0], frame.shape[1])
    if size not in (None, found):
        raise ValueError(f"frame {index}: expected the video's size {size}, found {found}")
    return found


def _plain(network: STCN, precision: str) -> STCN:
    """The network as it was loaded; for "fp64" a copy of it in float64."""
    if hasattr(network, "prepared"):
        raise ValueError(f"expected the network as it was loaded, found one prepared in {network.prepared} already")
    if precision == "fp64" and next(network.parameters()).dtype != torch.float64:
        network = copy.deepcopy(network).double()
    return network.eval()
