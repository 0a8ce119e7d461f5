"""The folder of one video's results. What is written there is recorded, so that nothing else is ever removed."""

import json
from collections.abc import Iterable
from pathlib import Path

from dataset.files import file_named_in_errors
from inference.errors import RunError

_RECORD = ".segment_video"         # a line of JSON per file, relative to the folder
_OURS = ("masks", "cutouts", "overlay.mp4", "confidence.csv", "masks.json", "polygons.json", "soft", "run.json")


class OutputFolder:
    """Claim a folder for new results.

    Args:
        overwrite: remove what an earlier run wrote to it.
        needed: files, and folders of files, that this run reads, which must stay.
    Raises RunError for a folder that holds files, unless `overwrite`; and if files that no run wrote have the names of
    results.
    """

    def __init__(self, root: Path, overwrite: bool = False, needed: Iterable[Path | str] = ()) -> None:
        self.root = root
        if root.exists() and not root.is_dir():
            raise RunError(f"{root}: expected a folder for the results, found a file; choose another --output")
        if root.is_dir() and any(root.iterdir()):
            if not overwrite:
                raise RunError(f"{root}: expected a new or empty folder, found files in it; choose another --output, "
                               "or give --overwrite, which removes what segment_video wrote there")
            self._clear({Path(path).resolve() for path in needed})
        root.mkdir(parents=True, exist_ok=True)
        (root / _RECORD).write_text("")

    def new(self, *parts: str) -> Path:
        """The path of a file about to be written below the folder, recorded as ours."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_named_in_errors(self.root / _RECORD), open(self.root / _RECORD, "a", encoding="utf-8") as record:
            record.write(json.dumps("/".join(parts)) + "\n")
        return path

    def _clear(self, needed: set[Path]) -> None:
        earlier = [path for path in self._recorded() if path.exists()]
        for path in earlier:
            if not needed.isdisjoint((path.resolve(), path.resolve().parent)):
                raise RunError(f"{path}: expected that --overwrite removes nothing that this run reads, found that it "
                               "would remove this file; choose another --output")
        there = [path for name in _OURS for path in (self.root / name, *(self.root / name).rglob("*"))]
        foreign = [path for path in there if path.exists() and not path.is_dir() and path not in set(earlier)]
        if foreign:
            raise RunError(f"{foreign[0]}: expected only files of earlier runs under the results' names, found one "
                           "that no run recorded; choose another --output, or move it away")
        for path in earlier:
            path.unlink()
        for folder in sorted((path for path in there if path.is_dir()), reverse=True):
            if not any(folder.iterdir()):
                folder.rmdir()

    def _recorded(self) -> list[Path]:
        """What the earlier run wrote, and the temporary files that it may have left when it was killed."""
        record = self.root / _RECORD
        if not record.is_file():
            return []
        ours = (*_OURS, ".overlay.partial.mp4")
        lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
        parts = [_parts(line) for line in lines]
        finals = [self.root.joinpath(*names) for names in parts if names[0] in ours and ".." not in names]
        return [path for final in finals for path in (final, final.with_name(f".{final.name}.partial"))]


def is_ours(root: Path) -> bool:
    """Whether a run has claimed this folder."""
    return (root / _RECORD).is_file()


def _parts(line: str) -> list[str]:
    """The parts of a recorded path; an empty part for a line that was cut off."""
    try:
        return str(json.loads(line)).split("/")
    except ValueError:
        return [""]
