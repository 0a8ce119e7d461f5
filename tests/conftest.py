"""Loads the fixtures of tests/fixtures.py in each process that runs tests.

The process that only hands tests out to several others starts without them, and so without PyTorch: they wait for it.
"""

import gc
import os
from pathlib import Path

import pytest

# These files have the longest tests. They come first, so that no process works on one when the others are done.
LONGEST = (
    "test_streaming", "test_fuzz", "test_reproduce_end_to_end", "test_resume", "test_documents", "test_training",
    "test_golden_propagation", "test_check", "test_benchmark", "test_bad_days",
)


def pytest_configure(config: pytest.Config) -> None:
    """Times of convolutions are kept for the next run of the tests, not in the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(Path(__file__).resolve().parents[1] / ".pytest_cache/convolutions")
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files stay whole: their fixtures are made once."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What exists by now, such as the modules of PyTorch, lives to the end: no collection has to look at it again."""
    gc.collect()
    gc.freeze()
