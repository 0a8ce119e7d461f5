"""The folder of an exported network: its manifest `export.json`, checked against the files beside it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.config import from_mapping, to_mapping
from model.errors import CheckpointError, ConfigError
from model.exported.graphs import Stage
from model.network import NetworkConfig

Kind = Literal["onnx", "openvino", "torchscript", "pt2"]
MANIFEST = "export.json"
FORMAT = 1                # of the manifest and the graphs' tensors; increased when an earlier reader would be wrong
SUFFIXES: dict[Kind, str] = {"onnx": "onnx", "openvino": "xml", "torchscript": "pt", "pt2": "pt2"}


@dataclass(frozen=True)
class Checksum:
    """A file of the folder, and its SHA-256 in hexadecimal."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an exported folder holds."""

    kind: Kind
    size: tuple[int, int]               # (H, W) of the frames, padded to whole cells
    network: NetworkConfig
    weights: str                        # the weights that were exported, for people
    weights_sha256: str
    made_with: str                      # versions of this project and of the packages used
    files: tuple[Checksum, ...]
    format: int = FORMAT
    int8: bool = False                  # whether decoder and value encoder compute in 8-bit integers

    def graph(self, folder: Path, stage: Stage) -> Path:
        """The file of a graph."""
        return folder / f"{stage}.{SUFFIXES[self.kind]}"

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(to_mapping(self), indent=2) + "\n", encoding="utf-8")


def is_exported(path: str | Path) -> bool:
    """Whether this is the folder of an exported network."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder whose files are complete and unchanged. Raises CheckpointError if they are not."""
    path = folder / MANIFEST
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
        found = mapping.get("format") if isinstance(mapping, dict) else None
        if found != FORMAT:
            raise CheckpointError(f"{path}: expected format {FORMAT} of exported networks, found {found}; export the "
                                  "network again with this version")
        manifest = from_mapping(Manifest, mapping, str(path))
    except OSError as error:
        raise CheckpointError(f"{path}: expected the manifest of an exported network ({error.strerror})") from None
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: expected JSON, found a damaged file; export the network again") from None
    for listed in manifest.files:
        if checksum(folder / listed.file) != listed:
            raise CheckpointError(f"{folder / listed.file}: expected the graph that {MANIFEST} lists, found a file "
                                  "that was changed or cut off; copy the folder again, or export again")
    return manifest


def checksum(path: Path) -> Checksum:
    """Raises CheckpointError if the file is missing or cannot be read."""
    try:
        with open(path, "rb") as file:
            return Checksum(path.name, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise CheckpointError(f"{path}: expected a file of an exported network ({error.strerror}); copy the folder "
                              "again, or export again") from None
