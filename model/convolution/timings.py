"""Measured times, kept for later runs: a folder per machine in the user's cache, a small file per question.

A file is created complete or not at all, and whoever creates it first decides for all processes.
"""

import json
import logging
import math
import os
import platform
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

Seconds = Mapping[str, float | None]      # of each candidate; None: refused, since its result is another one

_LOG = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where the times of this machine are kept, with this version of PyTorch and this number of threads."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", torch.backends.cpu.get_cpu_capability())
    machine = f"{processor()}, {isa}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    return root / "adaptive-memory-vos" / "convolutions" / _as_name(machine)


class Timings:
    """Times by question, from memory, from the folder, or measured now. folder: None keeps them in memory alone."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.known: dict[str, Seconds] = {}

    def get(self, question: str, measure: Callable[[], Seconds]) -> Seconds:
        """The times that answer a question, such as "3x3, 64 to 64 channels"; `measure` is called if none are known."""
        if question not in self.known:
            self.known[question] = self._read(question) or self._keep(question, measure())
            _LOG.info("%s: %s", question, _in_ms(self.known[question]))
        return self.known[question]

    def _read(self, question: str) -> Seconds | None:
        """None if there is no file, or a damaged one."""
        if self.folder is None:
            return None
        try:
            seconds = json.loads(self._path(self.folder, question).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(seconds, dict) and any(_is_time(value) for value in seconds.values()) and all(
            value is None or _is_time(value) for value in seconds.values())
        return seconds if whole else None

    def _keep(self, question: str, seconds: Seconds) -> Seconds:
        """Write the times, unless another process was faster: then its times. A folder that cannot be written to costs
        only the time to measure again."""
        if self.folder is None:
            return seconds
        path, partial = self._path(self.folder, question), None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".partial", delete=False) as file:
                partial = Path(file.name)
                json.dump(dict(seconds), file)
            if not path.exists():
                os.link(partial, path)                      # fails if the file is there by now
            elif self._read(question) is None:
                os.replace(partial, path)                   # it is damaged
        except OSError:
            pass
        finally:
            if partial is not None:
                partial.unlink(missing_ok=True)
        return self._read(question) or seconds

    def _path(self, folder: Path, question: str) -> Path:
        return folder / f"{_as_name(question)}.json"


def processor() -> str:
    """The model of the CPU."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _is_time(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value > 0


def _in_ms(seconds: Seconds) -> str:
    times = (f"{name} {'refused' if each is None else f'{1000 * each:.1f} ms'}" for name, each in seconds.items())
    return ", ".join(times)


def _as_name(text: str) -> str:
    return re.sub(r"[^\w.,+-]+", "_", text)
