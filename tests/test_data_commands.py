"""The commands that prepare and check data: they start without PyTorch, and end plainly when they are interrupted."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import check_dataset, compose_videos, make_synthetic, prepare_static, prepare_youtube

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {        # module, the work that it does, and its arguments
    "check_dataset": (check_dataset, "check", ["."]),
    "compose_videos": (compose_videos, "compose_davis", ["--davis-root", "DAVIS", "--output", "out"]),
    "make_synthetic": (make_synthetic, "make_static", ["--kind", "static", "--output", "out"]),
    "prepare_static": (prepare_static, "prepare", ["--input", "in", "--output", "out"]),
    "prepare_youtube": (prepare_youtube, "prepare", ["--input", "in", "--output", "out"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_pytorch_is_loaded(name):
    code = f"import sys, scripts.{name}; print([m for m in sys.modules if m.split('.')[0] in ('torch', 'matplotlib')])"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(("module", "work", "arguments"), COMMANDS.values(), ids=COMMANDS)
def test_ctrl_c_is_one_line_and_status_130(module, work, arguments, tmp_path, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, work, interrupt)
    with pytest.raises(SystemExit, match="130"):
        module.main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("interrupted; run the same command again")
