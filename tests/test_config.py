"""Options as dataclasses: from YAML mappings and back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from model.config import ConfigError, from_mapping, to_mapping


@dataclass(frozen=True)
class Inner:
    """Nested options."""

    root: Path
    name: str = "videos"


@dataclass(frozen=True)
class Options:
    """One field of every supported type."""

    sources: tuple[Inner, ...]
    output: Path | None = None
    folders: list[Path] = field(default_factory=list)
    rate: float = 1.0
    count: int | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    kind: Literal["a", "b"] = "a"
    on: bool = False


MAPPING = {
    "sources": [{"root": "data/videos", "name": "videos"}], "output": "runs/x", "folders": ["a", "b"], "rate": 0.5,
    "count": 3, "betas": [0.5, 0.9], "kind": "b", "on": True,
}


def test_a_mapping_becomes_typed_options_and_the_same_mapping_again():
    options = from_mapping(Options, MAPPING)
    assert options == Options(
        (Inner(Path("data/videos")),), Path("runs/x"), [Path("a"), Path("b")], 0.5, 3, (0.5, 0.9), "b", True
    )
    assert to_mapping(options) == MAPPING
    assert from_mapping(Options, to_mapping(options)) == options


def test_an_optional_path_may_be_left_out():
    options = from_mapping(Options, {"sources": [], "output": None})
    assert options.output is None
    assert to_mapping(options)["output"] is None


@pytest.mark.parametrize(("key", "value", "words"), [
    ("output", 3, r"stage\.output: expected a path, found 3"),
    ("folders", ["a", 1], r"stage\.folders\[1\]: expected a path, found 1"),
    ("sources", [{"root": True}], r"stage\.sources\[0\]\.root: expected a path, found True"),
    ("sources", [{"rot": "x"}], r"stage\.sources\[0\]: unknown key 'rot'; did you mean 'root'\?"),
    ("count", True, r"stage\.count: expected int, found True"),
    ("rate", "fast", r"stage\.rate: expected float, found 'fast'"),
    ("betas", [1], r"stage\.betas: expected 2 values, found 1"),
    ("kind", "c", r"stage\.kind: expected one of a, b, found 'c'"),
])
def test_a_value_of_another_type_is_named(key, value, words):
    with pytest.raises(ConfigError, match=words):
        from_mapping(Options, {"sources": [], key: value}, "stage")
