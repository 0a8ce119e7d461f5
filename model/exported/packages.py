"""The optional packages of exported networks (`requirements-export.txt`)."""

import importlib
from typing import Any

from model.errors import ConfigError

PACKAGES = {        # what each kind of export needs, to be written and to be run
    "onnx": (("onnx", "onnxscript"), ("onnxruntime",)), "openvino": (("onnx", "onnxscript", "openvino"), ("openvino",)),
    "torchscript": ((), ()), "pt2": ((), ()),
}


def need(package: str, purpose: str) -> Any:
    """The module. Raises ConfigError, which says how to install it, if it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(f"{purpose}: expected the package {package}, found that it is not installed ({error}); "
                          "python -m pip install -r requirements-export.txt") from None


def need_all(kind: str, writing: bool) -> None:
    """Check the packages of a kind before any work is done. Raises ConfigError."""
    to_write, to_run = PACKAGES[kind]
    for package in (*to_write, *to_run) if writing else to_run:
        need(package, f"--to {kind}" if writing else f"an exported network of kind {kind}")
