"""How the network runs: device, precision, decoding; and the network made ready for it."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from inference.device import DEVICES, device_of
from inference.options import Options, option
from model.checkpoint import load_network
from model.errors import ConfigError
from model.exported.network import ExportedNetwork
from model.fast import prepare_for_inference
from model.network import STCN
from model.precision import describe_auto, resolve_precision


@dataclass(frozen=True)
class RuntimeOptions(Options):
    """How the network runs."""

    device: str = option("auto", DEVICES, recorded=False)
    precision: Literal["fp32", "bf16", "fp16", "tf32", "fp64", "auto"] = option(
        "fp32", "of the network; bf16 is fast on hardware with units for it; auto: bf16 there, otherwise fp32; "
        "tf32: fp32 with TF32 convolutions, on NVIDIA GPUs; fp64: the plain path, slow and exact")
    decode: Literal["full", "window", "auto"] = option(
        "full", "window: decode only where an object can be, which is often faster, with nearly the same masks; auto: "
        "so where it is faster on this CPU, measured once for each size of frames; whole frames on a GPU",
        label="decode {}")
    objects_at_once: int | None = option(
        None, "objects that the network sees at once: fewer take less memory, with the same masks up to rounding "
        "(default: all)", metavar="N", minimum=1, label="{} objects at once")
    tune: Literal["auto", "off"] = option(
        "auto", "auto: on a CPU, measure the fastest algorithm for each large convolution: some seconds at the first "
        "frame on a new machine, and more memory; off: PyTorch's own choice", label="convolutions not tuned")
    verbose: bool = option(False, "print what is measured to tune convolutions", recorded=False)
    compile: bool = option(
        False, "compile the network: a minute or more at the first frame of every size and number of objects, then "
        "faster (CUDA graphs on a GPU)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compile and self.decode == "window":
            raise ConfigError("--compile: windows differ at every frame and cannot be compiled; omit --decode window")
        if self.precision == "fp64" and (self.compile or self.decode == "window"):
            raise ConfigError("--precision fp64: this is the plain path; omit --compile and --decode window")

    def resolved(self) -> "RuntimeOptions":
        """The same options with what their precision becomes on their device; prints it for "auto".

        Raises ConfigError for a device that does not exist.
        """
        device = device_of(self.device)
        precision: Any = resolve_precision(self.precision, device)
        if self.verbose:
            logging.basicConfig(format="%(message)s")
            logging.getLogger("model").setLevel(logging.INFO)
        if self.precision == "auto" and os.environ.get("RANK", "0") == "0":
            print(describe_auto(precision, device))
        return replace(self, precision=precision)


def load_for(runtime: RuntimeOptions, weights: str | Path) -> STCN:
    """The network of a weights file on the device asked for; prepared for inference, or in float64 as it is.

    Raises ConfigError for a device that does not exist, and for options that an exported network does not have;
    CheckpointError for unusable weights.
    """
    network = load_network(weights, device_of(runtime.device))
    if isinstance(network, ExportedNetwork):
        _check_exported(runtime, weights)
        return network
    if runtime.precision == "fp64":
        return network.double()
    return prepare_for_inference(network, runtime.precision, runtime.compile, runtime.tune == "auto", in_place=True)


def _check_exported(runtime: RuntimeOptions, weights: str | Path) -> None:
    """Raises ConfigError for options that need the network's own layers."""
    given = {"--compile": runtime.compile, "--decode window": runtime.decode == "window",
             f"--precision {runtime.precision}": runtime.precision != "fp32"}
    for flag, wanted in given.items():
        if wanted:
            raise ConfigError(f"{flag}: expected the layers of a network, found the exported one in {weights}, which "
                              f"computes whole frames in fp32; omit {flag}")
