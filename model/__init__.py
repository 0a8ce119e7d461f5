"""The network and how it learns. Names are imported on first use: PyTorch takes seconds to load."""

from typing import TYPE_CHECKING

from model.errors import CheckpointError, ConfigError, LossError

if TYPE_CHECKING:
    from model.checkpoint import load_network
    from model.network import STCN, NetworkConfig

__all__ = ["STCN", "CheckpointError", "ConfigError", "LossError", "NetworkConfig", "load_network"]


def __getattr__(name: str) -> object:
    if name in ("STCN", "NetworkConfig"):
        from model import network
        return getattr(network, name)
    if name == "load_network":
        from model.checkpoint import load_network
        return load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
