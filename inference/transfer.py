"""Frames to the device and label maps back, so that neither a GPU nor the host waits for the other."""

import numpy as np
import torch
from torch import Tensor


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """The array on `device`. To a GPU it is copied through pinned memory, while the GPU computes."""
    host = torch.from_numpy(np.array(array, order="C"))      # a copy: the caller's may be read-only or mirrored
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host


class Download:
    """A copy of an index map [H, W] uint8 to the host, where `lookup` [n] replaces each index by its number."""

    def __init__(self, indices: Tensor, lookup: np.ndarray) -> None:
        self._lookup, self._event, self._host = lookup, None, indices
        if indices.is_cuda:
            self._host = torch.empty(indices.shape, dtype=indices.dtype, pin_memory=True)
            self._host.copy_(indices, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def result(self) -> np.ndarray:
        """[H, W] of `lookup`'s type; waits until the copy is complete."""
        if self._event is not None:
            self._event.synchronize()
        return self._lookup[self._host.numpy()]
