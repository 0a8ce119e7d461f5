"""An evaluation by several processes, or one that was killed and resumed, writes the same bytes as a single run."""

from pathlib import Path

import pytest

from dataset.synthetic import make_davis, make_youtube
from tests.processes import Command

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["davis", "youtube"])
def command(request, tmp_path_factory, weights) -> list[str]:
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "davis":
        make_davis(root, sequences={"train": 1, "val": 5}, frames=20, size=(48, 70), progress=False)
        data = ["eval_davis", "--davis-root", str(root)]
    else:
        make_youtube(root, videos={"train": 1, "valid": 5}, frames=20, size=(48, 70), progress=False)
        truth = root / "valid_ground_truth/Annotations"
        data = ["eval_youtube", "--youtube-root", str(root / "valid"), "--ground-truth", str(truth), "--zip"]
    return [*data, "--weights", str(weights), "--device", "cpu", "--memory-every", "2"]


@pytest.fixture(scope="module")
def alone(command, tmp_path_factory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("alone") / "run"
    start(command, output).wait()
    return written(output)


def test_two_processes(command, alone, tmp_path):
    port = "29517" if "eval_davis" in command else "29519"
    shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [start(command, tmp_path / "run", shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    assert [rank.wait()[0] for rank in ranks] == [0, 0]
    assert written(tmp_path / "run") == alone


def test_killed_three_times(command, alone, tmp_path):
    records = tmp_path / "run/.records"
    for finished in (1, 2, 3):
        process = start(command, tmp_path / "run")
        process.await_(lambda finished=finished: len(list(records.glob("*.json"))) >= finished)
        process.kill()                         # in the middle of a sequence or between two
    assert start(command, tmp_path / "run").wait()[0] == 0
    assert written(tmp_path / "run") == alone


def start(command: list[str], output: Path, torchrun: dict[str, str] | None = None) -> Command:
    """The command in a process of its own, or as the rank of several that the variables of `torchrun` say."""
    module, *arguments = command
    log = output.with_name(f"log {(torchrun or {}).get('RANK', 'alone')}.txt")
    return Command(module, [*arguments, "--output", str(output)], log, torchrun)


def written(output: Path) -> dict[str, bytes]:
    """Masks and score files; run.json holds seconds, which differ."""
    assert not list(output.glob("**/.*.partial"))
    files = [*output.glob("**/*.png"), *output.glob("*.csv")]
    assert len(files) >= 20
    return {str(path.relative_to(output)): path.read_bytes() for path in files}
