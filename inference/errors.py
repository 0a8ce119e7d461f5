"""The exceptions of this package; no PyTorch here, so that commands can name them before it is loaded."""


class MemoryConfigError(ValueError):
    """Memory options that contradict one another."""


class RunError(ValueError):
    """A folder of results that this run may not write to."""
