"""Memory files: what a segmenter has learned of some objects in one video, taken to others."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from inference.memory import MemoryOptions
from inference.views import ViewSegmenter
from model.errors import CheckpointError, ConfigError
from model.storage import read_file, save_file

_CONTENT = {"settings", "weights", "views"}
# the settings of a run, as in run.json, that its memory depends on; frames may be of another size
_WEIGHTS = "weights_sha256"
_SETTINGS = ("precision", "decode", "flip", "scales", *(each.name for each in fields(MemoryOptions)))


def check_memory_target(path: Path, overwrite: bool) -> None:
    """Raises ConfigError for a file that exists already, unless `overwrite`, and for a folder."""
    if path.is_dir() or (path.exists() and not overwrite):
        found = "a folder" if path.is_dir() else "a file, which --overwrite would replace"
        raise ConfigError(f"--save-memory {path}: expected the name of a new file, found {found}; choose another one")


def save_memory(path: Path, segmenter: ViewSegmenter, settings: Mapping[str, Any], weights: Path) -> None:
    """Write the banks of all views. settings: of the run, as in run.json. weights: the name for people."""
    content = {name: settings[name] for name in (_WEIGHTS, *_SETTINGS)}
    save_file(path, {"settings": content, "weights": str(weights), "views": segmenter.state()})


def load_memory(path: Path, segmenter: ViewSegmenter, settings: Mapping[str, Any], weights: Path) -> None:
    """Give a segmenter the objects of a file of `save_memory`, ready for another video, of any size.

    Raises CheckpointError for a file that is missing, damaged or something else, and for the memory of a run with other
    weights or options, which this segmenter could not read.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: expected a file that --save-memory wrote, found no such file; check the path")
    content = read_file(path)
    if content.keys() != _CONTENT:
        raise CheckpointError(f"{path}: expected a file that --save-memory wrote, found one with "
                              f"{', '.join(sorted(map(str, content))[:3]) or 'nothing'}; check the path")
    saved = content["settings"]
    if saved[_WEIGHTS] != settings[_WEIGHTS]:
        raise CheckpointError(
            f"{path}: expected a memory made with the weights of this command, {weights} (SHA-256 "
            f"{settings[_WEIGHTS][:12]}...), found one made with {content['weights']} ({saved[_WEIGHTS][:12]}...); "
            "give --weights as in that run, or learn the objects again with these"
        )
    for name in _SETTINGS:
        if saved.get(name) != settings[name]:
            raise CheckpointError(f"{path}: expected a memory made with {name}={settings[name]!r} as in this command, "
                                  f"found {saved.get(name)!r}; give the same flags in both runs")
    segmenter.restore(content["views"], path)
    if not segmenter.objects:
        raise CheckpointError(f"{path}: expected a memory that knows an object, found one that knows none; save it in "
                              "a run with a mask")
    segmenter.reset(keep_memory=True)
