"""The device to compute on, by name."""

import os
import re

import torch

from model.errors import ConfigError


def device_of(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:n -> a device that exists; under torchrun auto and cuda are the process's own.

    Raises ConfigError.
    """
    torch.backends.cudnn.allow_tf32 = False      # fp32 means fp32 on every device; bf16 is there for speed
    count = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % max(1, count)}"
    if not re.fullmatch(r"cpu|cuda:\d+", name):
        raise ConfigError(f"--device {name}: expected auto, cpu, cuda or cuda:n")
    device = torch.device(name)
    if device.type == "cuda" and device.index >= count:
        raise ConfigError(f"--device {name}: found {count} CUDA devices; use --device cpu")
    return device
