"""What the commands' parsers share; no PyTorch, which takes seconds to load."""

import argparse
from typing import Any


class CommandParser(argparse.ArgumentParser):
    """Takes flags by their whole names only, so that none changes its meaning when another is added; its help keeps
    the lines of description and epilog. Subcommands' parsers are of this class too."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return number
