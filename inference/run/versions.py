"""The versions and the machine that the numbers of a run depend on."""

import platform
from importlib import metadata

import cv2
import torch

PACKAGES = ("torch", "torchvision", "numpy", "pillow")


def versions() -> dict[str, str]:
    """Name -> version, for run.json."""
    return {
        "python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES},
        "opencv": cv2.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
