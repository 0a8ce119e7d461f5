"""The checkpoints of a training run: named by iteration, the newest ones kept, checked when read."""

from pathlib import Path
from typing import Any

import torch

from model.checkpoint import save_network
from model.errors import CheckpointError
from model.network import STCN
from model.storage import read_file


class Checkpoints:
    """OUTPUT/checkpoints/iteration_0001000.pth and so on; the newest `keep` stay.

    A checkpoint is a weights file of our layout with one more entry, "training": a dictionary of what the trainer
    needs to resume, among it "iteration", the number of finished iterations. If weights are averaged, the averaged
    ones are the weights of the file, and "training" holds those that are trained.
    """

    def __init__(self, output: Path, keep: int) -> None:
        self.folder, self.keep = output / "checkpoints", keep

    @property
    def paths(self) -> list[Path]:
        """Oldest first."""
        return sorted(self.folder.glob("iteration_*.pth"))

    @property
    def newest(self) -> Path | None:
        """The last one written; None before the first."""
        return self.paths[-1] if self.paths else None

    def later_than(self, iteration: int) -> list[Path]:
        """Those of later iterations, oldest first."""
        return [path for path in self.paths if path.name > _name(iteration)]

    def write(self, network: STCN, training: dict[str, Any]) -> None:
        """Write the checkpoint of iteration `training["iteration"]`, then drop the oldest ones."""
        current = self.folder / _name(training["iteration"])
        save_network(current, network, training)
        others = [path for path in self.paths if path != current]
        for path in others[: len(others) + 1 - self.keep]:
            path.unlink()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: "network" and "training".

    Raises CheckpointError if the file does not load, holds weights alone, or holds weights that are not finite.
    """
    content = read_file(path)
    if content.get("training") is None:
        raise CheckpointError(f"{path}: expected a training checkpoint, found weights alone; use --init-weights")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in content["network"].values()):
        raise CheckpointError(f"{path}: expected finite weights, found NaN or infinity; resume an earlier one")
    return content


def _name(iteration: int) -> str:
    return f"iteration_{iteration:07d}.pth"
