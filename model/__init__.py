"""The network and how it learns."""

from model.checkpoint import CheckpointError, load_network
from model.config import ConfigError
from model.losses import LossError
from model.network import STCN, NetworkConfig

__all__ = ["STCN", "CheckpointError", "ConfigError", "LossError", "NetworkConfig", "load_network"]
