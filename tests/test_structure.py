"""The house rules: files of at most 250 lines, functions of at most 40, imports that point one way, no circles."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("model", "dataset", "inference", "scripts", "tests")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")) + sorted(ROOT.glob("*.py"))
CODE = [path for path in FILES if "tests" not in path.parts]
LINES, FUNCTION_LINES = 250, 40
MAY_IMPORT = {"model": {"model"}, "dataset": {"dataset"}, "inference": {"inference", "model", "dataset"}}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")


MODULES = {name_of(path): path for path in CODE}


def imported(path: Path, lazily: bool = False) -> set[str]:
    """Modules of this repository that a file imports when it is loaded (`lazily`: or inside functions)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if lazily else _executed(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inner or {node.module}
    return found & MODULES.keys()


def _executed(node: ast.AST):
    """The nodes that loading a module executes: no bodies of functions, nothing for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _executed(child)


def test_no_file_is_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {file: lines for file, lines in lengths.items() if lines > LINES} == {}


def test_no_function_is_long():
    lengths = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in FILES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {function: lines for function, lines in lengths.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package):
    for path in (ROOT / package).rglob("*.py"):
        packages = {module.split(".")[0] for module in imported(path, lazily=True)}
        assert packages <= MAY_IMPORT[package], path


def test_there_is_no_circle():
    list(TopologicalSorter({name: imported(path) - {name} for name, path in MODULES.items()}).static_order())


@pytest.mark.parametrize(("heading", "hops"), [
    ("The journey of a frame", 14), ("The journey of a training sample", 10),
])
def test_the_documents_journeys_visit_each_file_once(heading, hops):
    document = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
    section = document.split(f"## {heading}\n")[1].split("\n## ")[0]
    files = re.findall(r"^\d+\. `([^`]+)`:", section, re.MULTILINE)
    assert 1 < len(files) <= hops + 1
    assert len(set(files)) == len(files)
    assert all((ROOT / file).is_file() for file in files)
