"""An exported network in the place of an STCN: the same three stages, computed by another runtime."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model.encoders import FrameFeatures, sum_of_others
from model.errors import CheckpointError
from model.exported.graphs import signatures
from model.exported.manifest import read_manifest
from model.exported.runtimes import load_graphs
from model.network import STCN


class ExportedNetwork(STCN):
    """The graphs in a folder that `scripts/export.py` wrote. It computes one frame at a time, on the CPU, in fp32, or
    partly in 8-bit integers if the export says so.

    It has no layers and no weights of its own: whole frames are decoded, and it can be neither trained nor compiled.

    Raises CheckpointError for a folder that is incomplete or damaged, ConfigError if a package is missing.
    """

    prepared = "fp32"

    def __init__(self, folder: str | Path) -> None:
        nn.Module.__init__(self)            # STCN's own would build its layers
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self.config, self.size = self.manifest.network, self.manifest.size
        self.graphs = load_graphs(self.folder, self.manifest, signatures(self.config, self.size))
        self.eval()

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def encode_key(self, frame: Tensor) -> FrameFeatures:
        """[1, 3, H, W] -> as of STCN. Raises CheckpointError for frames of another size than the exported one."""
        found = tuple(frame.shape[2:])
        if found != self.size:
            raise CheckpointError(
                f"{self.folder}: expected frames of {_text(self.size)} pixels (height x width, padded to multiples of "
                f"16), for which this network was exported, found {_text(found)}; export it with --size {found[0]} "
                f"{found[1]}, or use the weights that it was made of, {self.manifest.weights}"
            )
        return FrameFeatures(*self.graphs["key"](frame))

    def encode_value(self, frame: Tensor, f16: Tensor, masks: Tensor, others: Tensor | None = None) -> Tensor:
        inputs = [masks[0]]
        if self.config.mask_channels == 2:
            inputs.append((sum_of_others(masks) if others is None else others)[0])
        return self.graphs["value"](frame, f16, *inputs)[0][None]

    def segment(self, readout: Tensor, features: FrameFeatures) -> Tensor:
        return self.graphs["segment"](readout[0], features.thin, features.f8, features.f4)[0][None]

    def state_dict(self, *_arguments: Any, **_options: Any) -> Any:
        """Raises CheckpointError: there is nothing to save, convert or train."""
        raise CheckpointError(f"{self.folder}: expected weights, found an exported network, which can only be run; use "
                              f"the weights that it was made of, {self.manifest.weights}")


def _text(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))
