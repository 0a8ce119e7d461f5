"""Files of tensors: written atomically, read safely."""

import os
from pathlib import Path
from typing import Any

import torch

from model.errors import CheckpointError

UNREADABLE = (FileNotFoundError, IsADirectoryError, PermissionError)


def save_file(path: str | Path, content: object) -> None:
    """torch.save to a temporary name beside `path`, flushed to disk, then renamed over it.

    Raises OSError, with the name of the file, if it cannot be written. An earlier file at `path` is then untouched.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with open(partial, "wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:        # torch.save hides the OSError of a failed write in a RuntimeError
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise OSError(cause.errno, cause.strerror, str(path)) from None
    finally:
        partial.unlink(missing_ok=True)


def read_file(path: str | Path) -> dict[str, Any]:
    """The dictionary in a file of torch.save, on the CPU. `weights_only=True`: no code in the file can run.

    Raises CheckpointError if the file is missing, cannot be read, is damaged, or holds anything but a dictionary.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    except Exception as error:      # arbitrary bytes can make an unpickler raise anything
        raise CheckpointError(
            f"{path}: expected a PyTorch weights file of tensors alone, found one that does not load "
            f"({_appearance(Path(path), str(error))}); copy or download it again"
        ) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}; "
                              "check the path")
    return content


def unreadable(path: str | Path, error: OSError) -> CheckpointError:
    """The error to raise for a weights file that could not be opened because of one of UNREADABLE."""
    what = {FileNotFoundError: "no such file", IsADirectoryError: "a folder"}
    found = what.get(type(error), "a file that may not be read")
    return CheckpointError(f"{path}: expected a weights file, found {found}; check the path")


def _appearance(path: Path, message: str) -> str:
    """What a file that does not load looks like; `message` is the unpickler's."""
    with open(path, "rb") as file:
        head = file.read(200)
    if not head:
        return "an empty file"
    # PyTorch says 'Unsupported global' of objects that it refuses, 'Unsupported operand' of files that are no pickle
    if "Unsupported global" in message or ("Unsupported" in message and head.startswith((b"\x80", b"PK"))):
        return "it holds objects or code beside tensors, which are never run"
    if head.isascii() and head.decode().replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        return f"a text file, '{' '.join(head.decode().split())[:40]}'"
    return "it is damaged or cut off"
