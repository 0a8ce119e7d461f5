"""Folders that a command makes anew: never in the place of other files."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from dataset.errors import DatasetError

_MARK = ".synthetic"    # distinguishes our folders from real data sets of the same name


def make_empty(folders: Sequence[Path], overwrite: bool) -> None:
    """Make these folders; with `overwrite`, what an earlier call of this function made there is deleted first.

    Raises DatasetError, before anything is deleted, if one of them holds other files, or any without `overwrite`.
    """
    for folder in folders:
        if not folder.exists() or not any(folder.iterdir()):
            continue
        if not (folder / _MARK).exists():
            raise DatasetError(f"{folder}: expected an empty folder, found files of another origin; choose another "
                               "--output")
        if not overwrite:
            raise DatasetError(f"{folder}: expected an empty folder, found one that is not empty; choose another "
                               "--output or add --overwrite")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _MARK).touch()
