"""Loads the fixtures of tests/fixtures.py in each process that runs tests.

The process that only hands tests out to several others starts without them, and so without PyTorch: they wait for it.
"""

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Times of convolutions are kept for the next run of the tests, not in the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache/convolutions")
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")
