"""What the data doctor finds: problems of files, with their severity."""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

from dataset.errors import Problem

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")      # worst first


@dataclass(frozen=True)
class Finding:
    """One thing that is not as a reader expects it; an error stops a reader."""

    severity: Severity
    kind: str           # findings of one kind are reported together
    file: str
    expected: str
    found: str
    remedy: str

    @property
    def message(self) -> str:
        return Problem(self.kind, self.expected, self.found, self.remedy).message(self.file)


def finding_of(severity: Severity, file: Path, problem: Problem) -> Finding:
    """The finding of a file's problem."""
    kind, *words = astuple(problem)
    return Finding(severity, kind, str(file), *words)
