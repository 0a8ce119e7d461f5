"""An evaluation by several processes, or one that was killed and resumed, writes the same bytes as a single run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dataset.synthetic import make_davis, make_youtube

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["davis", "youtube"])
def command(request, tmp_path_factory, weights) -> list[str]:
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "davis":
        make_davis(root, sequences={"train": 1, "val": 5}, frames=20, size=(48, 70), progress=False)
        data = ["eval_davis.py", "--davis-root", str(root)]
    else:
        make_youtube(root, videos={"train": 1, "valid": 5}, frames=20, size=(48, 70), progress=False)
        truth = root / "valid_ground_truth/Annotations"
        data = ["eval_youtube.py", "--youtube-root", str(root / "valid"), "--ground-truth", str(truth), "--zip"]
    return [*data, "--weights", str(weights), "--device", "cpu", "--memory-every", "2"]


@pytest.fixture(scope="module")
def alone(command, tmp_path_factory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("alone") / "run"
    start([sys.executable, *command], output).wait()
    return written(output)


def test_two_processes(command, alone, tmp_path):
    port = "29517" if "eval_davis.py" in command else "29519"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    assert start([*launcher, *command], tmp_path / "run").wait() == 0
    assert written(tmp_path / "run") == alone


def test_killed_three_times(command, alone, tmp_path):
    records = tmp_path / "run/.records"
    for finished in (1, 2, 3):
        process = start([sys.executable, *command], tmp_path / "run")
        while len(list(records.glob("*.json"))) < finished and process.poll() is None:
            time.sleep(0.002)
        assert process.poll() is None          # killed in the middle of a sequence or between two
        process.kill()
        process.wait()
    assert start([sys.executable, *command], tmp_path / "run").wait() == 0
    assert written(tmp_path / "run") == alone


def start(command: list[str], output: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [*command, "--output", str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def written(output: Path) -> dict[str, bytes]:
    """Masks and score files; run.json holds seconds, which differ."""
    assert not list(output.glob("**/.*.partial"))
    files = [*output.glob("**/*.png"), *output.glob("*.csv")]
    assert len(files) >= 20
    return {str(path.relative_to(output)): path.read_bytes() for path in files}
