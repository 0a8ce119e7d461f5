"""Typed options from YAML mappings: every key is checked, and the nearest valid key is suggested.

`from_mapping(SomeDataclass, mapping)` builds a dataclass, nested ones included. The annotations give the types;
a value of another type is an error at once rather than a surprise at iteration 100,000.
"""

import dataclasses
import difflib
import types
import typing
from pathlib import Path

import yaml

from model.errors import ConfigError

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = typing.TypeVar("T", bound="DataclassInstance")


def from_mapping(cls: type[T], mapping: object, where: str = "config") -> T:
    """Build dataclass `cls` from `mapping`; `where` is the path shown in errors, such as `training.precision`."""
    if not isinstance(mapping, dict):
        raise ConfigError(f"{where}: expected a mapping of {cls.__name__} options, found {mapping!r}")
    known = {field.name: field for field in dataclasses.fields(cls)}
    for key in mapping:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean '{nearest[0]}'?" if nearest else f"valid keys: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key '{key}'; {hint}")
    missing = [
        name for name, field in known.items()
        if name not in mapping and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: missing key '{missing[0]}'")
    hints = typing.get_type_hints(cls)
    return cls(**{key: convert(hints[key], value, f"{where}.{key}") for key, value in mapping.items()})


def to_mapping(options: "DataclassInstance") -> dict[str, typing.Any]:
    """The plain-YAML form of a dataclass: tuples become lists, paths become strings."""
    return {key: _plain(value) for key, value in dataclasses.asdict(options).items()}


def assign(mapping: dict[str, typing.Any], assignment: str) -> None:
    """Apply one command-line `key.sub=value` to a nested mapping in place; the value is read as YAML."""
    path, separator, text = assignment.partition("=")
    if not separator:
        raise ConfigError(f"--set {assignment}: expected key.sub=value")
    *parents, last = path.split(".")
    for parent in parents:
        mapping = mapping.setdefault(parent, {})
        if not isinstance(mapping, dict):
            raise ConfigError(f"--set {assignment}: '{parent}' is a value, not a section")
    try:
        mapping[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: not valid YAML: {' '.join(str(error).split())}") from None


def read_yaml(path: Path) -> dict[str, typing.Any]:
    """The mapping in a YAML file; raises ConfigError if it is missing or holds anything else."""
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: expected a YAML file ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if mapping is not None and not isinstance(mapping, dict):
        raise ConfigError(f"{path}: expected keys and values, found a {type(mapping).__name__}")
    return mapping or {}


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def convert(expected: typing.Any, value: object, where: str) -> object:
    """`value` in the type that the annotation `expected` describes; raises ConfigError, which names `where`."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        expected = next(argument for argument in arguments if argument is not type(None))
        return convert(expected, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(f"{where}: expected one of {', '.join(map(str, arguments))}, found {value!r}")
        return value
    if isinstance(expected, type) and dataclasses.is_dataclass(expected):
        return value if isinstance(value, expected) else from_mapping(expected, value, where)
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: expected a list, found {value!r}")
        if origin is tuple and arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ConfigError(f"{where}: expected {len(arguments)} values, found {len(value)}")
        return origin(convert(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if expected is Path and isinstance(value, str):
        return Path(value)
    if expected is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)   # YAML reads 1e-5 (no dot) as a string
        except ValueError:
            pass
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        name = "a path" if expected is Path else expected.__name__
        raise ConfigError(f"{where}: expected {name}, found {value!r}")
    return value
