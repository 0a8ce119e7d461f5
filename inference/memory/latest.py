"""Which entries belong to the latest frames."""

import torch
from torch import Tensor


def latest(written: Tensor, among: Tensor, frames: int) -> Tensor:
    """Which of the entries in `among` [n, ...] bool come from the latest `frames` frames that occur there, [n, ...].

    Columns are independent of one another. written: [n], the frame of each entry. The host does not wait for a device.
    """
    written = written.reshape(-1, *[1] * (among.dim() - 1))
    chosen = torch.zeros_like(among)
    for _ in range(frames):
        newest = torch.where(among & ~chosen, written, -1).amax(0)
        chosen = chosen | (among & (written == newest))
    return chosen
