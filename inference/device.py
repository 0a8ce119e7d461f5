"""The device to compute on, by name."""

import os
import re

import torch

from model.errors import ConfigError

DEVICES = "auto, cpu, cuda, cuda:n, mps, xpu or xpu:n"


def device_of(name: str) -> torch.device:
    """One of DEVICES -> a device that exists; auto is the accelerator if there is one, and otherwise the CPU.

    Under torchrun auto, cuda and xpu are the process's own. Raises ConfigError.
    """
    if not re.fullmatch(r"auto|cpu|mps|(cuda|xpu)(:\d+)?", name):
        raise ConfigError(f"--device {name}: expected {DEVICES}")
    found, count = _accelerators()
    if name == "auto":
        name = found if re.fullmatch("cuda|mps|xpu", found) else "cpu"
    if name in ("cuda", "xpu"):
        name = f"{name}:{int(os.environ.get('LOCAL_RANK', 0)) % max(1, count)}"
    device = torch.device(name)
    if device.type == "cpu":
        return device
    if device.type != found:
        raise ConfigError(f"--device {name}: found {found or 'no accelerator'}; use --device {found or 'cpu'}")
    if device.index is not None and device.index >= count:
        raise ConfigError(f"--device {name}: found {count} {device.type} devices, counted from 0")
    return device


def _accelerators() -> tuple[str, int]:
    """The kind of accelerator that PyTorch can use here, such as cuda, and how many; ("", 0) if there is none."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return (found.type, torch.accelerator.device_count()) if found else ("", 0)
