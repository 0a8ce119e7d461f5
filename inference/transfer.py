"""Frames to the device and label maps back, without making a GPU wait for the host or the host for a GPU."""

import numpy as np
import torch
from torch import Tensor


def upload(array: np.ndarray, device: torch.device) -> Tensor:
    """The array on `device`; to a GPU through pinned memory, beside what it is computing."""
    host = torch.from_numpy(np.array(array, order="C"))      # a copy: the caller's may be read-only or mirrored
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host


class Download:
    """A map of indices [H, W] uint8 on its way to the host, where `lookup` [n] replaces each by its number."""

    def __init__(self, indices: Tensor, lookup: np.ndarray) -> None:
        self._lookup, self._event, self._host = lookup, None, indices
        if indices.is_cuda:
            self._host = torch.empty(indices.shape, dtype=indices.dtype, pin_memory=True)
            self._host.copy_(indices, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def result(self) -> np.ndarray:
        """[H, W], of `lookup`'s type; waits until it has arrived."""
        if self._event is not None:
            self._event.synchronize()
        return self._lookup[self._host.numpy()]
