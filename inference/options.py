"""Options as data: a field of a frozen dataclass is a flag, a YAML key, a recorded setting and a label at once.

    @dataclass(frozen=True)
    class MemoryOptions(Options):
        top_k: int = option(20, "memory entries that each query cell reads", metavar="K", minimum=1, label="top {}")

A new option is a new field, and nothing else: `scripts/arguments.py` turns fields into flags and reads YAML,
`recorded` gives what run.json keeps, and `labels` the words that tables use.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args, get_origin

from model.config import to_mapping
from model.errors import ConfigError

Choices = Iterable[Any] | Callable[[], Iterable[Any]]


def option(
    default: Any = MISSING, help: str = "", *, metavar: str | None = None, choices: Choices | None = None,
    minimum: float | None = None, recorded: bool = True, label: str | None = None, short: str | None = None,
    bare: Any = None,
) -> Any:
    """A dataclass field that is an option.

    Args:
        default: MISSING makes the option required. help: shown by --help; the default is appended to it.
        choices: values that are allowed, or a function that returns them. minimum: the smallest value allowed.
        recorded: whether results depend on it, so that run.json keeps it and a run resumes only if it is the same.
        bare: the value of a flag that is given without one; None: a value is needed.
        label: words for a value other than the default, with {} for the value. short: the same in names of files.
    """
    return field(default=default, metadata={
        "help": help, "metavar": metavar, "choices": choices, "minimum": minimum, "recorded": recorded, "label": label,
        "short": short, "bare": bare,
    })


@dataclass(frozen=True)
class Options:
    """Base of all option classes: checks every value against the choices and the minimum of its field."""

    error: ClassVar[type[ValueError]] = ConfigError

    def __post_init__(self) -> None:
        """Raises `error` for a value that is not allowed."""
        for each in fields(self):
            value, minimum = getattr(self, each.name), each.metadata["minimum"]
            for item in value if isinstance(value, tuple) else (value,):
                if item is None:
                    continue
                if (allowed := choices_of(each)) is not None and item not in allowed:
                    raise self.error(f"{each.name} {item}: expected one of {', '.join(map(str, allowed))}")
                if minimum is not None and item < minimum:
                    raise self.error(f"{each.name} {item}: expected at least {minimum}")


def choices_of(each: Field[Any]) -> list[Any] | None:
    """The values that an option allows; None if its type alone decides."""
    choices = each.metadata["choices"]
    if choices is None:
        return list(get_args(each.type)) if get_origin(each.type) is Literal else None
    return list(choices() if callable(choices) else choices)


def recorded(*groups: Options) -> dict[str, Any]:
    """The settings that results depend on, by name, as run.json keeps them."""
    settings: dict[str, Any] = {}
    for group in groups:
        values = to_mapping(group)
        settings |= {each.name: values[each.name] for each in fields(group) if each.metadata["recorded"]}
    return settings


def label(each: Field[Any], value: Any) -> str:
    """An option's value in words, such as "top 40"."""
    words = each.metadata["label"]
    if words is None:
        words = each.name.replace("_", " ") + (" {}" if value is not True else "")
    shown = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return words.format(shown)


def labels(kind: type[Options], settings: Mapping[str, Any], ignored: Iterable[str] = ()) -> list[str]:
    """The labels of all options in `settings` that differ from their defaults, without the `ignored` ones."""
    skipped, words = set(ignored), []
    for each in fields(kind):
        value = settings.get(each.name, each.default)
        value = tuple(value) if isinstance(value, list) else value
        if each.name not in skipped and each.metadata["recorded"] and value not in (each.default, None):
            words.append(label(each, value))
    return words
