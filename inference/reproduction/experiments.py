"""The experiments of the thesis, as configs/thesis_tables.yaml lists them: tables and figures, and the runs of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from model.config import from_mapping, read_yaml
from model.errors import ConfigError

FILE = Path(__file__).resolve().parents[2] / "configs" / "thesis_tables.yaml"
T = TypeVar("T", bound=Any)


@dataclass(frozen=True)
class DataSet:
    """A data set: the command that segments it, and the beginning of the names of its run folders."""

    command: Literal["eval_davis", "eval_youtube"]
    name: str
    year: int | None = None


@dataclass(frozen=True)
class Method:
    """A memory bank, and which weights it is run with. None: the default of the evaluation."""

    memory: str
    memory_frames: int | None = None
    memory_every: int | None = None
    top_k: int | None = None
    index: Literal["topk", "softmax", "log"] | None = None
    weights: Literal["main", "dropout", "reallocation"] = "main"

    @property
    def bank(self) -> dict[str, Any]:
        """The options of the memory bank, by name."""
        return {name: value for name, value in vars(self).items() if name != "weights"}


@dataclass(frozen=True)
class Experiment:
    """A run: a data set with a method, each under its name in the tables of docs/reference."""

    data: str
    method: str
    data_set: DataSet
    how: Method

    @property
    def name(self) -> str:
        """The name of its run folder, such as "davis16-lfu-2"."""
        return f"{self.data_set.name}-{self.method.lower().replace(' ', '-')}"

    @property
    def youtube(self) -> bool:
        return self.data_set.command == "eval_youtube"


@dataclass(frozen=True)
class Entry:
    """A table or a figure in the YAML."""

    title: str
    data: tuple[str, ...]
    methods: tuple[str, ...]
    sequences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """A table or a figure of the thesis, and the runs that it needs. sequences: of a figure with masks."""

    kind: Literal["table", "figure"]
    number: int
    title: str
    experiments: tuple[Experiment, ...]
    sequences: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.kind} {self.number}"


def read_items(file: Path = FILE) -> list[Item]:
    """All tables, then all figures, in the order of the file; raises ConfigError."""
    content = read_yaml(file)
    if set(content) != {"data", "methods", "tables", "figures"}:
        raise ConfigError(f"{file}: expected data, methods, tables and figures, found {', '.join(map(str, content))}")
    data = _named(DataSet, content["data"], f"{file}.data")
    methods = _named(Method, content["methods"], f"{file}.methods")
    items = []
    for kind in ("table", "figure"):
        where = f"{file}.{kind}s"
        for number, entry in _named(Entry, content[f"{kind}s"], where).items():
            _check_names(entry.data, data, f"{where}.{number}.data")
            _check_names(entry.methods, methods, f"{where}.{number}.methods")
            runs = tuple(Experiment(d, m, data[d], methods[m]) for d in entry.data for m in entry.methods)
            items.append(Item(kind, number, entry.title, runs, entry.sequences))
    return items


def selected(items: Sequence[Item], tables: Sequence[int] | None, figures: Sequence[int] | None) -> list[Item]:
    """The tables and figures of these numbers; all if neither is given.

    A number that only a figure has may also be given as a table: the thesis has no table 11. Raises ConfigError for a
    number that is neither.
    """
    if tables is None and figures is None:
        return list(items)
    known = {(item.kind, item.number): item for item in items}
    keys: list[tuple[str, int]] = []
    for number in tables or ():
        keys.append(("table", number) if ("table", number) in known else ("figure", number))
    keys += [("figure", number) for number in figures or ()]
    for kind, number in keys:
        if (kind, number) not in known:
            raise ConfigError(f"--table, --figure {number}: expected numbers of {_listed(items)}, found another")
    return [item for item in items if (item.kind, item.number) in keys]


def experiments_of(items: Iterable[Item]) -> list[Experiment]:
    """The runs that the items need, each once."""
    return list(dict.fromkeys(experiment for item in items for experiment in item.experiments))


def _named(cls: type[T], mapping: object, where: str) -> dict[Any, T]:
    if not isinstance(mapping, dict):
        raise ConfigError(f"{where}: expected names and their values, found {mapping!r}")
    return {key: from_mapping(cls, value, f"{where}.{key}") for key, value in mapping.items()}


def _check_names(names: Iterable[str], known: Mapping[str, object], where: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{where}: expected one of {', '.join(known)}, found {name!r}")


def _listed(items: Iterable[Item]) -> str:
    return ", ".join(item.label for item in items)
