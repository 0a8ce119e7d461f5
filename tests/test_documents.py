"""The documents say what is so: their commands run or parse, their Python runs, flags, keys, files and links exist."""

import dataclasses
import functools
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

import train
from dataset.clips import SourceConfig
from dataset.synthetic_clip import SyntheticClip
from inference.memory import POLICIES
from model.config import ConfigError, from_mapping
from tests.document_commands import NOT_RUN, RUN, row_of, run_commands
from tests.documents import (
    DOCUMENTS,
    ROOT,
    SCRIPTS,
    anchors,
    blocks,
    commands,
    flags_of,
    inline_code,
    launcher,
    links,
    parse,
    parser_of,
    script_and_arguments,
)
from tests.standins import CODE, make_standins

NAMES = {                                                  # what Python blocks of a document take for granted
    "README.md": lambda: {"video": list(SyntheticClip(seed=0, size=(64, 96), length=3, objects=2))},
}
OTHER_FLAGS = {"--quick", "-k", "-m"}                      # of scripts/test.sh and pytest
WITH_COMMANDS = [document for document in DOCUMENTS if any(b.language in ("bash", "python") for b in blocks(document))]


@functools.cache
def bash_commands() -> list[tuple[str, str]]:
    """(where, command) of every fenced bash block."""
    return [
        (block.where, command) for document in DOCUMENTS for block in blocks(document) if block.language == "bash"
        for command in commands(block.text)
    ]


def test_every_command_is_in_a_table():
    for where, command in bash_commands():
        assert row_of(NOT_RUN, command) or row_of(RUN, command) is not None, (
            f"{where}: nothing runs `{command}`. Add its beginning to RUN of tests/document_commands.py, with flags "
            "that make it take seconds on the stand-ins of tests/standins.py; or to NOT_RUN, with the reason."
        )


def test_the_tables_have_no_rows_of_commands_that_are_gone():
    used = {row_of(NOT_RUN, command) or row_of(RUN, command) for _, command in bash_commands()}
    assert (RUN.keys() | NOT_RUN.keys()) - used == set()


def test_every_command_parses_and_its_files_exist():
    for where, command in bash_commands():
        words = shlex.split(command, comments=True)
        try:
            parse(words)
        except (SystemExit, ConfigError) as error:
            pytest.fail(f"{where}: `{command}` does not parse: {error} (and see stderr)")
        for word in words:
            if re.match(r"(configs|scripts|docs|tests|weights)/[\w./-]+$", word):
                assert (ROOT / word).exists(), f"{where}: {word} does not exist"


def test_commands_lie_in_bash_blocks():
    for document in DOCUMENTS:
        for block in blocks(document):
            commanding = re.search(r"^(python|torchrun|bash) ", block.text, re.MULTILINE)
            assert block.language == "bash" or not commanding, f"{block.where}: open this block with ```bash"


def test_commands_in_inline_code_parse():
    """Those that end in ... are cut short: their flags exist."""
    for document in DOCUMENTS:
        for code in inline_code(document):
            if not code.startswith(("python ", "torchrun ")) or not (ours := script_and_arguments(shlex.split(code))):
                continue
            if "..." not in code:
                parse(shlex.split(code))
            flags = {word for word in ours[1] if word.startswith("--")}
            assert flags <= flags_of(ours[0]), f"{document}: `{code}`"


def test_flags_in_inline_code_exist():
    known = OTHER_FLAGS | set(launcher()._option_string_actions)
    known = known.union(*(flags_of(script) for script in SCRIPTS))
    for document in DOCUMENTS:
        for code in inline_code(document):
            flags = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", code))
            assert flags <= known, f"{document}: `{code}`: no command has {flags - known}"


def test_keys_in_inline_code_exist():
    sections = {field.name: field.type for field in dataclasses.fields(train.RunConfig)}
    hints = {"validation": train.ValidationConfig}
    for document in DOCUMENTS:
        for code in inline_code(document):
            for section, key in re.findall(r"\b(data|network|training|objective|validation)\.([a-z_]+)\b", code):
                fields = {field.name for field in dataclasses.fields(hints.get(section, sections[section]))}
                assert key in fields | {"pth", "py"}, f"{document}: `{code}`: {section} has no {key}"


def test_links_and_files_in_inline_code_exist():
    for document in DOCUMENTS:
        for target in links(document):
            name, _, anchor = target.partition("#")
            path = (ROOT / document).parent / name if name else ROOT / document
            assert path.exists(), f"{document}: {target} does not exist"
            assert not anchor or anchor in anchors(path), f"{document}: {target}: no such heading"
        for code in inline_code(document):
            if re.match(r"(configs|dataset|docs|inference|model|scripts|tests|weights)/[\w./-]*$", code):
                assert (ROOT / code).exists(), f"{document}: `{code}` does not exist"


def test_rows_of_data_sets_are_valid():
    for document in DOCUMENTS:
        for block in blocks(document):
            content = yaml.safe_load(block.text) if block.language == "yaml" else None
            if isinstance(content, list):
                for row in content:
                    from_mapping(SourceConfig, row, block.where)
            elif content is not None and "validation" in content:
                from_mapping(train.ValidationConfig, content["validation"], block.where)


def test_commands_of_shell_scripts_parse():
    """The quickstart's and the SLURM job's, with their variables in place."""
    names = set()
    for script in ("scripts/quickstart.sh", "scripts/train.slurm"):
        text = (ROOT / script).read_text()
        for name, value in re.findall(r'^(\w+)="?(\d[\d ]*)', text, re.MULTILINE):
            text = text.replace(f"${name}", value)
        for command in commands(text):
            command = re.sub(r"^\s*unless \S+ (?=\$python)", "", command)
            command = re.sub(r"^\s*train ", "python train.py --resume auto ", command)
            command = command.strip().replace("$python", "python").replace('"$@"', "").partition("|")[0]
            if re.match(r"python (train|scripts/\w+)\.py", command):
                parse(shlex.split(command))
                names.add(shlex.split(command)[1])
    quickstart = ("quickstart_plan", "make_synthetic", "segment_video", "show_masks", "ablate", "report")
    assert names == {"train.py", *(f"scripts/{name}.py" for name in quickstart)}


def test_every_command_shows_examples():
    for script in SCRIPTS:
        assert f"python {script} " in parser_of(script).format_help(), f"{script} --help has no example"


@pytest.fixture(scope="module")
def standins(tmp_path_factory, weights) -> Path:
    root = tmp_path_factory.mktemp("standins")
    make_standins(root, weights)
    return root


@pytest.fixture
def workspace(standins, tmp_path, monkeypatch) -> Path:
    """A folder like the repository's root, with stand-ins for data and weights; the current one."""
    shutil.copytree(standins, tmp_path, dirs_exist_ok=True)
    for name in CODE:
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)     # `python` is this one
    threads = torch.get_num_threads()
    torch.set_num_threads(1)                               # pictures this small gain nothing from more
    yield tmp_path
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.parametrize("document", WITH_COMMANDS)
def test_a_document_can_be_followed(document, workspace):
    """Its commands and its Python, in their order."""
    names = {"__name__": "document", **NAMES.get(document, dict)()}
    policies = dict(POLICIES)
    try:
        for block in blocks(document):
            if block.language == "python":
                exec(compile(block.text, block.where, "exec"), names)
            elif block.language == "bash":
                run_commands(block)
    finally:
        POLICIES.clear()
        POLICIES.update(policies)
