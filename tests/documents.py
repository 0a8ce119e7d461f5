"""What the documents hold: fenced blocks, the commands in them, inline code, links; the parser of every command."""

import argparse
import functools
import importlib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch.distributed.run

import train

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "weights").glob("*.md"))
)
SCRIPTS = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.py"), *(ROOT / "scripts").glob("*.py"))
    if "def main(" in path.read_text(encoding="utf-8")
)
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a document: its first line's number, its language, its text."""

    document: str
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.document}:{self.line}"


def read(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    text = read(document)
    return [
        Block(document, text.count("\n", 0, found.start()) + 2, found[1], found[2]) for found in _FENCED.finditer(text)
    ]


def commands(text: str) -> list[str]:
    """The commands of a bash block: continued lines joined, a quoted text of several lines kept whole."""
    found, pending = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        pending += line
        try:
            words = shlex.split(pending, comments=True)
        except ValueError:                                 # no closing quotation yet
            pending += "\n"
            continue
        if words:
            found.append(pending)
        pending = ""
    assert not pending, f"no closing quotation: {pending}"
    return found


def inline_code(document: str) -> list[str]:
    """The texts between single backticks, outside fenced blocks."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", _FENCED.sub("", read(document)))]


def links(document: str) -> list[str]:
    """The targets of relative links and pictures."""
    targets = re.findall(r"\]\(([^)\s]+)\)", _FENCED.sub("", read(document)))
    return [target for target in targets if not target.startswith(("http:", "https:", "mailto:"))]


def anchors(document: Path) -> set[str]:
    """What a document's headings are called in links."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@functools.cache
def parser_of(script: str) -> argparse.ArgumentParser:
    return importlib.import_module(script.removesuffix(".py").replace("/", ".")).parser()


@functools.cache
def flags_of(script: str) -> frozenset[str]:
    """All flags of a command, those of its sub-commands included."""
    parsers, flags = [parser_of(script)], set()
    while parsers:
        for action in parsers.pop()._actions:
            flags.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                parsers.extend(action.choices.values())
    return frozenset(flags)


def launcher() -> argparse.ArgumentParser:
    return torch.distributed.run.get_args_parser()


def script_and_arguments(words: list[str]) -> tuple[str, list[str]] | None:
    """Which of SCRIPTS a command runs, and how; None: another program. A launcher's own flags are parsed here."""
    if words[0] == "torchrun":
        launched = launcher().parse_args(words[1:])
        return launched.training_script, launched.training_script_args
    if words[0] == "python" and len(words) > 1 and words[1].endswith(".py"):
        return words[1], words[2:]
    return None


def parse(words: list[str]) -> None:
    """Parse a command as it would itself: exits at an unknown flag or choice, raises for an unknown key of --set."""
    ours = script_and_arguments(words)
    if ours is None:
        return
    script, arguments = ours
    assert script in SCRIPTS, f"{script}: no such command"
    options = parser_of(script).parse_args(arguments)
    if script == "train.py":
        train.read_config(ROOT / options.config, options.set)
