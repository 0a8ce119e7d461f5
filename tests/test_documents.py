"""The documents say what is so: their commands run or parse, their Python runs, flags, keys, files and links exist."""

import dataclasses
import functools
import glob
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

import train
from dataset.clips import SourceConfig
from dataset.synthetic_clip import SyntheticClip
from inference.memory import POLICIES
from model.config import from_mapping
from tests.documents import (
    DOCUMENTS,
    ROOT,
    SCRIPTS,
    Block,
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

TINY = (
    "network.key_backbone=resnet18 network.key_dim=16 network.value_dim=32 network.decoder_dims=[32,16,16] "
    "network.norm=group network.block_norm=group "
    "data.crop=64 training.iterations=1 training.batch_size=2 training.workers=0 training.pretrained=false"
)
# Beginnings of the commands that are run, in miniature folders of the documents' names (tests/standins.py), and the
# flags that are added so that this takes seconds; what comes last on a command line wins. The first match counts.
RUN = {
    "python train.py": f"--set {TINY}",
    "python eval_davis.py": "",
    "python eval_youtube.py": "",
    "python scripts/ablate.py": "--memory every_k lfu novelty --memory-frames 1 2 --sequences breakdance",
    "python scripts/check_dataset.py": "",
    "python scripts/explain.py": "",
    "python scripts/make_synthetic.py --output data/miniature": "--size 64 96 --frames 12 --videos 1 --overwrite",
    "python scripts/make_synthetic.py --output data/example": "",
    "python scripts/policy_lab.py keys": "--sequences breakdance",
    "python scripts/policy_lab.py replay": "--policies lfu novelty --capacities 1 2 --workers 1",
    "python scripts/policy_lab.py correlate": "",
    "python scripts/prepare_youtube.py": "",
    "python scripts/report.py": "",
    "python scripts/score_results.py": "",
    "python scripts/segment_video.py --input cat": "",
    "python scripts/segment_video.py --input data/example": "--short-side 64 --max-frames 22",
    "python -c": "",
    "python -m zipfile": "",
    "mkdir": "",
    "cp": "",
}
# Beginnings of the commands that are parsed, not run, and why. These come before RUN.
NOT_RUN = {
    "bash scripts/quickstart.sh": "ten minutes; its commands are parsed below",
    "bash scripts/test.sh": "it runs these tests",
    "tensorboard": "a server that runs until it is stopped",
    "torchrun": "several processes, on GPUs; tests/test_several_processes.py starts some",
    "python scripts/convert_checkpoint.py": "weights of the thesis's full network; tests/test_checkpoint.py",
    "python scripts/benchmark.py": "minutes of measuring; tests/test_benchmark.py runs its sections",
    "python scripts/segment_video.py --input 0": "a camera",
    "python scripts/segment_video.py --input rtsp": "a network stream",
    "python -c \"import cv2; cv2.imwrite('frame.png'": "a camera",
}
NAMES = {                                                  # what Python blocks of a document take for granted
    "README.md": lambda: {"video": list(SyntheticClip(seed=0, size=(64, 96), length=3, objects=2))},
}
OTHER_FLAGS = {"--quick", "-k", "-m"}                      # of scripts/test.sh and pytest
WITH_COMMANDS = [document for document in DOCUMENTS if any(b.language in ("bash", "python") for b in blocks(document))]


def row_of(table: dict[str, str], command: str) -> str | None:
    """The first beginning in `table` that the command has."""
    return next((beginning for beginning in table if command.startswith(beginning)), None)


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
            f"{where}: nothing runs `{command}`. Add its beginning to RUN of tests/test_documents.py, with flags that "
            "make it take seconds on the stand-ins of tests/standins.py; or to NOT_RUN, with the reason."
        )


def test_the_tables_have_no_rows_of_commands_that_are_gone():
    used = {row_of(NOT_RUN, command) or row_of(RUN, command) for _, command in bash_commands()}
    assert (RUN.keys() | NOT_RUN.keys()) - used == set()


def test_every_command_parses_and_its_files_exist():
    for where, command in bash_commands():
        words = shlex.split(command, comments=True)
        try:
            parse(words)
        except SystemExit:
            pytest.fail(f"{where}: `{command}` does not parse (see stderr)")
        for word in words:
            if re.match(r"(configs|scripts|docs|tests|weights)/[\w./-]+$", word):
                assert (ROOT / word).exists(), f"{where}: {word} does not exist"


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
                assert key in fields | {"pth"}, f"{document}: `{code}`: {section} has no {key}"


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
        for command in commands((ROOT / script).read_text()):
            command = re.sub(r"^\s*evaluate ", "python eval_davis.py --davis-root D --weights W --output ", command)
            command = re.sub(r"^\s*train ", "python train.py --resume auto ", command)
            command = command.strip().replace("$python", "python").replace('"$@"', "").partition("|")[0]
            if re.match(r"python (train|eval_davis|scripts/\w+)\.py", command):
                parse(shlex.split(command))
                names.add(shlex.split(command)[1])
    assert names == {"train.py", "eval_davis.py", "scripts/make_synthetic.py", "scripts/report.py"}


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
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{Path('/usr/bin')}:/bin")
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


def run_commands(block: Block) -> None:
    for command in commands(block.text):
        if row_of(NOT_RUN, command):
            continue
        words = shlex.split(command, comments=True)
        ours = script_and_arguments(words)
        if ours is None:
            subprocess.run(["bash", "-c", command], check=True)
            continue
        arguments = [path for word in ours[1] for path in (sorted(glob.glob(word)) if "*" in word else [word])]
        module = importlib.import_module(ours[0].removesuffix(".py").replace("/", "."))
        try:
            status = module.main([*arguments, *shlex.split(RUN[row_of(RUN, command)])])
        except SystemExit as stop:
            status = stop.code
        assert not status, f"{block.where}: `{command}` ended with exit status {status}"
