"""The exceptions of this package; no PyTorch here, so that commands can name them before it is loaded."""


class ConfigError(ValueError):
    """A configuration that cannot be used. The message names the key, what was expected and what was found."""


class CheckpointError(ValueError):
    """A weights file that cannot be used. The message names the file, what was expected and what was found."""


class LossError(ValueError):
    """A loss that is not finite: training cannot continue. The message names iteration, samples and checkpoint."""
