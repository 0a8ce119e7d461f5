"""How the network runs: device, precision, decoding; and the network made ready for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inference.device import device_of
from inference.options import Options, option
from model.checkpoint import load_network
from model.errors import ConfigError
from model.fast import prepare_for_inference
from model.network import STCN


@dataclass(frozen=True)
class RuntimeOptions(Options):
    """How the network runs."""

    device: str = option("auto", "auto, cpu, cuda or cuda:n", recorded=False)
    precision: Literal["fp32", "bf16", "fp16", "fp64"] = option(
        "fp32", "of the network; bf16 is fast on hardware with units for it, fp64 is the plain path: slow and exact")
    decode: Literal["full", "window"] = option(
        "full", "window: decode only where an object can be, which is faster with nearly the same masks",
        label="decoded in windows")
    compile: bool = option(
        False, "compile the network: a minute or more at the first frame of every size and number of objects, then "
        "faster (CUDA graphs on a GPU)")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.compile and self.decode == "window":
            raise ConfigError("--compile: windows differ at every frame and cannot be compiled; omit --decode window")
        if self.precision == "fp64" and (self.compile or self.decode == "window"):
            raise ConfigError("--precision fp64: this is the plain path; omit --compile and --decode window")


def load_for(runtime: RuntimeOptions, weights: str | Path) -> STCN:
    """The network of a weights file on the device asked for; prepared for inference, or in float64 as it is.

    Raises ConfigError for a device that does not exist and CheckpointError for unusable weights.
    """
    network = load_network(weights, device_of(runtime.device))
    if runtime.precision == "fp64":
        return network.double()
    return prepare_for_inference(network, runtime.precision, runtime.compile)
