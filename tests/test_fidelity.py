"""policy_lab.py compare: the share of an evaluation's entries that a replay holds too."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import eval_davis
from dataset.errors import DatasetError
from dataset.synthetic import make_davis
from inference.lab.fidelity import compare, in_common
from inference.lab.keys import KeyFolder
from inference.memory import MemoryOptions
from inference.telemetry.moments import ROW, Moment, read_telemetry
from scripts import policy_lab

pytestmark = pytest.mark.usefixtures("one_thread")


def test_shares_by_hand():
    rows = np.zeros(4, ROW)
    rows["written"], rows["cell"], rows["left"] = (0, 0, 5, 5), (0, 1, 2, 3), (False, False, False, True)
    held = SimpleNamespace(entries=SimpleNamespace(sources=(torch.tensor([0, 5, 10]), torch.tensor([0, 2, 1]))))
    assert in_common(Moment(10, rows), held) == (2 / 4, 2 / 3)
    held.entries.sources = torch.tensor([0, 5]), torch.tensor([5, 0])      # other cells of the same frames
    assert in_common(Moment(10, rows), held) == (0, 1)
    held.entries.sources = torch.tensor([0]), torch.tensor([1])
    assert in_common(Moment(10, rows), held) == (1 / 3, 1 / 2)


@pytest.fixture(scope="module")
def compared(weights, tmp_path_factory):
    """Keys of a clip, and evaluations of it with two banks."""
    root = tmp_path_factory.mktemp("compared")
    make_davis(root / "DAVIS", sequences={"val": 1}, frames=14, size=(50, 70), progress=False)
    data = ["--davis-root", str(root / "DAVIS"), "--year", "2017", "--weights", str(weights), "--device", "cpu"]
    policy_lab.main(["keys", *data, "--keys", str(root / "keys")])
    for memory in ("fifo", "quality_fifo"):
        eval_davis.main([*data, "--output", str(root / memory), "--telemetry", "--memory", memory,
                         "--memory-frames", "3", "--memory-every", "2", "--top-k", "4"])
    return root


def test_a_bank_of_frames_is_replayed_to_the_entry(compared, capsys):
    policy_lab.main(["compare", "--keys", str(compared / "keys"), "--runs", str(compared / "fifo")])
    cells = [cell.strip() for cell in capsys.readouterr().out.strip().splitlines()[-1].split("|")[1:-1]]
    assert cells[1:] == ["100.0", "100.0", "100.0", "clip-000"]


def test_another_quality_of_masks_stores_other_frames(compared):
    video = KeyFolder.read(compared / "keys").load("clip-000")
    recorded = read_telemetry(compared / "quality_fifo" / "telemetry", "clip-000")
    bank = MemoryOptions(memory="quality_fifo", memory_frames=3, memory_every=2, top_k=4)
    shares = []
    for confidence in (0, 1):                       # no frame is good enough, every frame is
        quality = video.quality.copy()
        quality[:, 1] = confidence
        shares.append(compare(replace(video, quality=quality), bank, recorded).entries)
    assert min(shares) < 1
    assert shares[0] != shares[1]


def test_other_frames_are_refused(compared, capsys):
    video = KeyFolder.read(compared / "keys").load("clip-000")
    recorded = read_telemetry(compared / "fifo" / "telemetry", "clip-000")
    with pytest.raises(DatasetError, match=r"clip-000: expected telemetry of 13 frames with 4 x 5 cells, .* found 14"):
        compare(replace(video, keys=video.keys[:13]), MemoryOptions(memory="fifo"), recorded)
    keys = KeyFolder.read(compared / "keys")
    other = KeyFolder(compared / "other", keys.settings | {"short_side": 40})
    other.add(video)
    with pytest.raises(SystemExit, match="2"):
        policy_lab.main(["compare", "--keys", str(other.root), "--runs", str(compared / "fifo")])
    error = capsys.readouterr().err
    assert "run.json: expected short_side=40 as in this command, found 0; evaluate as the keys were made" in error
