"""Commands in processes of their own, which are forked from one that has PyTorch loaded, and stopped from outside."""

import csv
import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import yaml

from dataset.masks import read_image
from model.storage import read_file
from tests.training import NETWORK

PATIENCE = 300      # seconds; only a machine that hangs takes so long
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([
    "train", "eval_davis", "eval_youtube", "scripts.segment_video", "scripts.ablate", "scripts.reproduce",
    "torchvision", "torch.utils.tensorboard", "av",         # those that the commands import when they need them
])


class Command:
    """`main` of a module at work on a command line, in a process group of its own; it prints to the file `log`.

    environment: variables that only this process has, such as those of torchrun.
    """

    def __init__(self, module: str, arguments: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        self.process = _CONTEXT.Process(target=_run, args=(module, list(map(str, arguments)), log, environment or {}))
        self.process.start()

    def wait(self) -> tuple[int, str]:
        """Its exit status (minus the number of a signal that killed it), and the last line of what it said."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, f"still at work: {self.log.read_text()}"
        said = self.log.read_text()
        assert "Traceback" not in said
        return self.process.exitcode, ["", *said.split("\n")][-2 if said.endswith("\n") else -1]

    def await_(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds, or the process has ended."""
        end = time.monotonic() + PATIENCE
        while not condition() and self.process.is_alive() and time.monotonic() < end:
            time.sleep(0.003)

    def at_work(self) -> bool:
        """Whether it minds signals by now: SIGTERM is among those caught."""
        status = Path(f"/proc/{self.process.pid}/status")
        caught = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigCgt")]
        return bool(caught) and bool(int(caught[0], 16) >> (signal.SIGTERM - 1) & 1)

    def kill(self) -> None:
        """At once, and wait until it is gone."""
        assert self.process.is_alive(), f"it ended before it was killed: {self.log.read_text()}"
        self.process.kill()
        self.process.join()

    def send(self, number: signal.Signals, group: bool = False) -> None:
        """To the process, or to its group: its loading processes too, as torchrun and terminals do."""
        if self.process.is_alive():
            (os.killpg if group else os.kill)(self.process.pid, number)


def _run(module: str, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
    os.setpgrp()
    os.environ.update(environment)
    file = open(log, "w", buffering=1)      # noqa: SIM115  # multiprocessing prints to it what was not caught
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    sys.stdout = sys.stderr = file
    try:
        importlib.import_module(module).main(arguments)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):      # too late for what is tested
            signal.signal(number, signal.SIG_IGN)


def write_stage(path: Path, davis: Path, **training: int) -> Path:
    """A YAML that trains a tiny network on a DAVIS folder, one sample an iteration."""
    path.write_text(yaml.safe_dump({
        "network": NETWORK,
        "data": {"crop": 32, "sources": [{"layout": "davis2017", "root": str(davis)}]},
        "training": {"batch_size": 1, "workers": 0, "pretrained": False, **training},
    }))
    return path


def check_whole(folder: Path) -> list[Path]:
    """Every file of a final name can be read to its end; returns them, without TensorBoard's, which only grow."""
    inside = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [folder / path for path in inside if "events.out" not in path.name and not _temporary(path)]
    for path in files:
        assert _READERS[path.suffix](path), path
    return files


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run that ended well, but for those that tell seconds or dates; no temporary one is left."""
    assert not list(folder.rglob("*.partial*"))
    files = [path for path in check_whole(folder) if path.suffix not in (".json", ".npz")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def frames_of(video: Path) -> int:
    """How many frames of a video can be decoded."""
    import av

    with av.open(str(video)) as container:
        return sum(1 for _ in container.decode(video=0))


def _pixels(path: Path) -> int:
    return read_image(path).size


def _temporary(path: Path) -> bool:
    return any(part.startswith(".") and part != ".records" for part in path.parts)


def _unzip(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None


_READERS: dict[str, Callable[[Path], object]] = {
    ".png": _pixels, ".jpg": _pixels, ".pth": read_file, ".mp4": frames_of, ".zip": _unzip, ".npz": _unzip,
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".csv": lambda path: list(csv.reader(path.read_text().splitlines(), strict=True)),
}
