"""Loads the fixtures of tests/fixtures.py in each process that runs tests.

The process that only hands tests out to several others starts without them, and so without PyTorch: they wait for it.
"""

import gc
import os
import signal
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Times of convolutions are kept for the next run of the tests, not in the user's cache. Ctrl-C has an effect, even
    in a background job, which would ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache/convolutions")
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: at the end, short tests are shared evenly among the processes."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What has been imported and collected stays: the collector need not go through it again and again."""
    gc.freeze()
