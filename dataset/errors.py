"""What every reader of files says when it cannot use what it finds."""

from dataclasses import dataclass
from pathlib import Path


class DatasetError(ValueError):
    """Input that cannot be used: names the file, what was expected, what was found and what to do.

    Commands print its message as one line and exit with status 2.
    """


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, in words. Readers raise it; the data doctor (`dataset/check.py`) reports it."""

    kind: str           # problems of one kind are reported together
    expected: str
    found: str
    remedy: str

    def message(self, file: Path | str) -> str:
        return f"{file}: expected {self.expected}, found {self.found}; {self.remedy}"

    def error(self, file: Path | str) -> DatasetError:
        return DatasetError(self.message(file))
