"""Command lines from option classes: flags, their help, and YAML files of flags. Loads no PyTorch by itself."""

import argparse
import difflib
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from inference.options import Options, choices_of
from model.config import convert, read_yaml
from model.errors import ConfigError

T = TypeVar("T", bound=Options)


class CommandParser(argparse.ArgumentParser):
    """Takes whole flag names only, so that none changes its meaning when another is added. --help keeps the lines of
    description and epilog. Parsers of subcommands are of this class too.

    `add_options(SomeOptions)` adds a flag per field; `parse(arguments)[SomeOptions]` is the object they describe.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        super().__init__(**options)
        self._option_defaults: dict[str, Any] = {}          # of this command, by option name
        self._option_types: dict[str, Any] = {}             # of every option, by name
        self._option_fields: dict[str, Field[Any]] = {}

    def add_options(
        self, kind: type[Options], title: str | None = None, lists: bool = False, without: Iterable[str] = (),
        **defaults: Any,
    ) -> None:
        """Add a flag for each field of `kind`, except those named in `without`.

        Args:
            title: of the group in --help. lists: every option that is no switch takes several values, and
            `Parsed.lists` gives them. defaults: this command's own, by option name.
        """
        group = self.add_argument_group(title) if title else self
        hints = get_type_hints(kind)
        for each in fields(kind):
            if each.name in without:
                continue
            kind_of_value = _without_none(hints[each.name])
            if lists and kind_of_value is not bool:
                kind_of_value = tuple[kind_of_value, ...]        # type: ignore[valid-type]   # a type made here
            self._option_types[each.name], self._option_fields[each.name] = kind_of_value, each
            self._option_defaults[each.name] = defaults.get(each.name, each.default)
            _add_flag(group, each, kind_of_value, self._option_defaults[each.name])

    def add_config(self) -> None:
        """Add --config, a YAML file with values for the option flags."""
        self.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="YAML",
                          help="file with values for these flags; flags given on the command line win")

    def parse(self, arguments: list[str] | None = None) -> "Parsed":
        """Parse the command line; raises ConfigError for values that are not allowed."""
        return self.resolve(self.parse_args(arguments))

    def resolve(self, namespace: argparse.Namespace) -> "Parsed":
        """What `parse` makes of a namespace of `parse_args`; for parsers of subcommands."""
        given = dict(vars(namespace))
        config = given.pop("config", None)
        values = self._option_defaults | (self._from_yaml(config) if config else {}) | given
        missing = [_flag(name) for name, value in values.items() if value is MISSING]
        if missing:
            self.error(f"the following arguments are required: {', '.join(missing)}")
        return Parsed({name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})

    def _from_yaml(self, path: Path) -> dict[str, Any]:
        values = {}
        for key, value in read_yaml(path).items():
            name = str(key).replace("-", "_")
            if name not in self._option_types:
                nearest = difflib.get_close_matches(name, self._option_types, n=1, cutoff=0)[0]
                raise ConfigError(f"{path}: unknown key '{key}'; did you mean '{nearest}'? Keys are flags without "
                                  "their dashes")
            if value is not None:                           # null: as if the key were not there
                several = get_origin(self._option_types[name]) is tuple
                value = [value] if several and not isinstance(value, list) else value
                values[name] = convert(self._option_types[name], value, f"{path}.{name}")
                _check_choices(self._option_fields[name], values[name], path)
        return values


class Parsed:
    """The option objects that a command line describes, by their class."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, kind: type[T]) -> T:
        """The options of one of the classes added; raises the class's error for values that are not allowed."""
        return self.of(kind)

    def of(self, kind: type[T], **defaults: Any) -> T:
        """The same, with these values in place of None: defaults that depend on other options."""
        names = {each.name for each in fields(kind)}
        values = {name: value for name, value in self._values.items() if name in names}
        return kind(**values | {name: value for name, value in defaults.items() if values[name] is None})

    def lists(self, kind: type[Options]) -> dict[str, tuple[Any, ...]]:
        """Option -> the values given, for a class added with `lists`; a switch has one."""
        values = {each.name: self._values[each.name] for each in fields(kind)}
        return {name: value if isinstance(value, tuple) else (value,) for name, value in values.items()}


def positive(text: str) -> int:
    """A whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return number


def _check_choices(each: Field[Any], value: Any, path: Path) -> None:
    """Raises ConfigError, which names the file, for a value that the option does not allow."""
    allowed = choices_of(each)
    for item in value if isinstance(value, tuple | list) else (value,):
        if allowed is not None and item not in allowed:
            raise ConfigError(f"{path}.{each.name}: expected one of {', '.join(map(str, allowed))}, found {item!r}")


def _add_flag(group: Any, each: Field[Any], kind: Any, default: Any) -> None:
    shared = {"default": argparse.SUPPRESS, "help": _help(each, default)}
    if kind is bool and default is False:
        group.add_argument(_flag(each.name), action="store_true", **shared)
    elif kind is bool:
        group.add_argument(_flag(each.name), action=argparse.BooleanOptionalAction, **shared)
    else:
        several, bare = get_origin(kind) is tuple, each.metadata["bare"]
        group.add_argument(
            _flag(each.name), type=_parser_of(get_args(kind)[0] if several else kind), const=bare,
            nargs="+" if several else None if bare is None else "?",
            metavar=each.metadata["metavar"] or ("NAME" if several else None), choices=choices_of(each), **shared,
        )


def _help(each: Field[Any], default: Any) -> str:
    text: str = each.metadata["help"]
    if default is MISSING:
        return f"{text} (required)"
    own, _, _ = text.partition(" (default")
    if default is None or default is False or (own != text and default == each.default):
        return text
    shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
    return f"{own} (default: {'on' if default is True else shown})"


def _without_none(kind: Any) -> Any:
    """int for `int | None`."""
    if get_origin(kind) in (Union, UnionType):
        return next(each for each in get_args(kind) if each is not NoneType)
    return kind


def _parser_of(kind: Any) -> type:
    """What turns a word of the command line into the type; words of a Literal are of the type of its values."""
    return kind if isinstance(kind, type) else type(get_args(kind)[0])


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
