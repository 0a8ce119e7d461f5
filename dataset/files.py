"""Writing files atomically, and system errors in one line."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to; it is renamed to `path` at the end, or removed after an error.

    So the file is complete or absent. An OSError that names no file, as errors of writing do, gets the name of `path`.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with file_named_in_errors(path):
            yield partial
            os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def file_named_in_errors(path: Path) -> Iterator[None]:
    """Give the name of `path` to any OSError that names no file."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def disk_is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _FULL


def in_one_line(error: Exception, again: str = "run the same command again") -> str:
    """The one line with which a command reports an error; for a full disk or no access, it says what to do."""
    if isinstance(error, OSError) and disk_is_full(error):
        return f"{error.filename or 'output'}: {error.strerror}; free some space there, then {again}"
    if isinstance(error, OSError) and error.filename and error.strerror:
        taken = isinstance(error, FileExistsError | NotADirectoryError)
        found = "a file in its place" if taken else error.strerror.lower()
        expected = "a folder" if taken else "a path that can be read and written"
        return f"{error.filename}: expected {expected}, found {found}; check the path and who may use it"
    return " ".join(str(error).split())
