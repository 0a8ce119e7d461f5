"""A disk that fills up during a write: one line that says which file and what to do, no incomplete file
under a final name, and the same bytes as ever once there is room. The disk is a RAM disk of a few pages."""

import errno
import subprocess
from pathlib import Path

import pytest
import torch

import eval_davis
import train
from dataset.synthetic import make_davis
from inference import VideoSegmenter, build_memory
from scripts import score_results, segment_video
from tests.processes import check_whole, frames_of, results, write_stage

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
SIZE, PAGE = (48, 70), 4      # PAGE: kilobytes that every file takes at least


class SmallDisk:
    """A RAM disk mounted at `root`, of so many kilobytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self._mount("size=16k", "tmpfs")

    def resize(self, kilobytes: int) -> None:
        self._mount(f"remount,size={kilobytes}k")

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", self.root], check=True)

    def _mount(self, options: str, *source: str) -> None:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, *source, self.root], capture_output=True)
        if done.returncode:
            pytest.skip(f"no RAM disk can be mounted here: {done.stderr.decode().strip()}")


@pytest.fixture
def disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()


@pytest.fixture(scope="module")
def davis(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("davis")
    make_davis(root, sequences={"train": 1, "val": 3}, frames=8, size=SIZE, progress=False)
    return root


def refused(capsys, main, arguments, disk, again):
    """The command ends with status 2 and, last, a line that names a file on the disk and the remedy."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    error = capsys.readouterr().err
    assert "Traceback" not in error
    last = error.strip().splitlines()[-1]
    assert last.startswith(f"error: {disk.root}/")
    assert f": No space left on device; free some space there, then {again}" in last
    check_whole(disk.root)


def test_evaluation(davis, weights, disk, tmp_path, capsys):
    command = ["--davis-root", str(davis), "--weights", str(weights), "--device", "cpu", "--overlays", "--telemetry"]
    eval_davis.main([*command, "--output", str(tmp_path / "whole")])
    finished = []
    for kilobytes in (PAGE, 6 * PAGE, 25 * PAGE, 60 * PAGE):
        disk.resize(kilobytes)
        refused(capsys, eval_davis.main, [*command, "--output", str(disk.root / "run")], disk,
                "run the same command again: finished work is kept")
        finished.append(len(list(disk.root.glob("run/.records/*.json"))))
    assert finished[0] == 0 < finished[-1]
    disk.resize(10_000)
    eval_davis.main([*command, "--output", str(disk.root / "run")])
    assert results(disk.root / "run") == results(tmp_path / "whole")


def test_scores(davis, disk, tmp_path, capsys):
    annotations = davis / "Annotations/480p"
    command = ["--annotations", str(annotations), "--results", str(annotations), "--csv"]
    score_results.main([*command, str(tmp_path / "whole")])
    (disk.root / "filler").write_bytes(bytes(16 * 1024))
    with pytest.raises(SystemExit, match="2"):
        score_results.main([*command, str(disk.root / "run")])
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error == (f"error: {disk.root}/run/global_results-val.csv: No space left on device; free some space there, "
                     "then run the same command again")
    assert not list((disk.root / "run").iterdir())
    (disk.root / "filler").unlink()
    score_results.main([*command, str(disk.root / "run")])
    assert results(disk.root / "run") == results(tmp_path / "whole")


@pytest.mark.parametrize("pyav", [True, False])
def test_segmentation(davis, weights, disk, tmp_path, capsys, monkeypatch, pyav):
    if pyav:
        pytest.importorskip("av")
    else:
        monkeypatch.setattr("inference.video.outputs.overlay._pyav", lambda: None)
    frames = next((davis / "JPEGImages/480p").iterdir())
    mask = davis / "Annotations/480p" / frames.name / "00000.png"
    command = ["--input", str(frames), "--mask", str(mask), "--weights", str(weights), "--device", "cpu", "--overwrite",
               "--cutouts"]
    segment_video.main([*command, "--output", str(tmp_path / "whole")])
    needed = sum(-(-path.stat().st_size // 4096) * PAGE for path in (tmp_path / "whole").rglob("*") if path.is_file())
    for kilobytes in (PAGE, 3 * PAGE, needed // 2, needed - 3 * PAGE):
        disk.resize(kilobytes)
        refused(capsys, segment_video.main, [*command, "--output", str(disk.root / "run")], disk,
                "run it again with --overwrite")
        assert not (disk.root / "run/run.json").exists()
    disk.resize(10_000)
    segment_video.main([*command, "--output", str(disk.root / "run")])
    assert results(disk.root / "run") == results(tmp_path / "whole")
    assert frames_of(disk.root / "run/overlay.mp4") == 8


def test_training(davis, disk, tmp_path, capsys):
    path = write_stage(tmp_path / "tiny.yaml", davis, iterations=4, save_every=1)
    command = ["--config", str(path), "--device", "cpu", "--resume", "auto", "--output"]
    train.main([*command, str(tmp_path / "whole")])
    checkpoint = (tmp_path / "whole/checkpoints/iteration_0000004.pth").stat().st_size // 1024
    for kilobytes in (PAGE, 2 * PAGE, checkpoint // 2, checkpoint * 3 // 2, checkpoint * 3 + 100):
        disk.resize(kilobytes)
        refused(capsys, train.main, [*command, str(disk.root / "run")], disk,
                "run the same command again with --resume auto")
    assert len(check_whole(disk.root / "run/checkpoints")) == 3
    disk.resize(10 * checkpoint)
    train.main([*command, str(disk.root / "run")])
    assert (disk.root / "run/network.pth").read_bytes() == (tmp_path / "whole/network.pth").read_bytes()
    assert not list(disk.root.rglob("*.partial"))


def test_a_saved_segmenter(tiny_network, disk):
    segmenter = VideoSegmenter(tiny_network, build_memory("lfu"))
    frame = torch.zeros(*SIZE, 3, dtype=torch.uint8).numpy()
    segmenter.step(frame, torch.eye(*SIZE, dtype=torch.uint8).numpy())
    disk.resize(PAGE)
    with pytest.raises(OSError, match=str(disk.root / "state.pth")) as caught:
        segmenter.save(disk.root / "state.pth")
    assert caught.value.errno == errno.ENOSPC
    assert not list(disk.root.iterdir())
    disk.resize(10_000)
    segmenter.save(disk.root / "state.pth")
    VideoSegmenter(tiny_network, build_memory("lfu")).load(disk.root / "state.pth")
