"""Commands that are killed, terminated or interrupted at any moment leave complete files, and resume exactly."""

import random
import signal
import time
from pathlib import Path

import pytest

from dataset.masks import write_labels
from dataset.synthetic import make_davis, make_youtube
from tests.own_video import write_folder, write_video
from tests.processes import Command, check_whole, frames_of, results, write_stage

pytestmark = pytest.mark.slow
pytest.importorskip("av")

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SIZE = (48, 70)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> list[str]:
    root = tmp_path_factory.mktemp("training")
    make_davis(root / "DAVIS", sequences={"train": 1, "val": 1}, frames=8, size=SIZE, progress=False)
    path = write_stage(root / "tiny.yaml", root / "DAVIS", iterations=18, save_every=2)
    return ["train", "--config", str(path), "--device", "cpu", "--resume", "auto"]


@pytest.fixture(scope="module")
def short(training, tmp_path_factory) -> tuple[list[str], bytes]:
    """A few iterations: the command, and the weights it ends with."""
    command, whole = [*training, "--set", "training.iterations=6"], tmp_path_factory.mktemp("short") / "whole"
    assert start(command, whole).wait()[0] == 0
    return command, (whole / "network.pth").read_bytes()


@pytest.fixture(scope="module", params=["davis", "youtube"])
def evaluation(request, tmp_path_factory, weights) -> list[str]:
    root = tmp_path_factory.mktemp(request.param)
    if request.param == "davis":
        make_davis(root, sequences={"train": 1, "val": 4}, frames=10, size=SIZE, progress=False)
        data = ["eval_davis", "--davis-root", str(root)]
    else:
        make_youtube(root, videos={"train": 1, "valid": 4}, frames=11, size=SIZE, progress=False)
        truth = root / "valid_ground_truth/Annotations"
        data = ["eval_youtube", "--youtube-root", str(root / "valid"), "--ground-truth", str(truth), "--zip"]
    return [*data, "--weights", str(weights), "--device", "cpu", "--memory-every", "2", "--overlays"]


@pytest.fixture(scope="module", params=["folder", "video"])
def segmentation(request, tmp_path_factory, weights) -> list[str]:
    from dataset.synthetic_clip import SyntheticClip

    root = tmp_path_factory.mktemp(request.param)
    clip = list(SyntheticClip(seed=2, size=SIZE, length=30, objects=2))
    source = write_folder(root, clip)
    if request.param == "video":
        source = write_video(root / "clip.avi", [image for image, _ in clip])
        write_labels(root / "first.png", clip[0][1])
    return ["scripts.segment_video", "--input", str(source), "--mask", str(root / "first.png"), "--weights",
            str(weights), "--device", "cpu", "--memory-every", "2", "--cutouts", "--overwrite"]


def test_training_resumes_to_the_same_weights(training, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert start(training, whole).wait()[0] == 0
    moments = random.Random(1)
    for number in moments.sample(SIGNALS, 3):
        newest = max(run.glob("checkpoints/*.pth"), default=None)
        process = start(training, run)
        process.await_(process.at_work)
        process.await_(lambda: max(run.glob("checkpoints/*.pth"), default=None) != newest)      # noqa: B023
        stop(process, number, moments.uniform(0, 0.2), "resume with --resume auto")
        check_whole(run)
    assert start(training, run).wait()[0] == 0
    assert (run / "network.pth").read_bytes() == (whole / "network.pth").read_bytes()
    assert not list(run.rglob("*.partial"))


@pytest.mark.parametrize("number", SIGNALS)
def test_training_stopped_before_its_first_iterations_is_begun_again(short, tmp_path, number):
    moments, (command, weights) = random.Random(number), short
    process = start(command, tmp_path / "run")
    process.await_(process.at_work)
    stop(process, number, moments.uniform(0, 0.4), "--resume auto")
    check_whole(tmp_path / "run")
    assert start(command, tmp_path / "run").wait()[0] == 0
    assert (tmp_path / "run/network.pth").read_bytes() == weights


def test_evaluation_resumes_to_the_same_files(evaluation, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert start(evaluation, whole).wait()[0] == 0
    folders = {path.parent for path in whole.rglob("*.png")}
    moments = random.Random(2)
    for number in moments.sample(SIGNALS, 3):
        finished = len(list(run.glob(".records/*.json")))
        process = start(evaluation, run)
        process.await_(process.at_work)
        process.await_(lambda: len(list(run.glob(".records/*.json"))) > finished)               # noqa: B023
        stop(process, number, moments.uniform(0, 0.1), "run the same command again: finished work is kept")
        check_whole(run)
        for folder in folders:
            there = run / folder.relative_to(whole)
            assert not there.exists() or names(there) == names(folder)
    assert start(evaluation, run).wait()[0] == 0
    assert results(run) == results(whole)


def test_segmentation_leaves_whole_masks_and_a_video_that_plays(segmentation, tmp_path):
    whole, moments = tmp_path / "whole", random.Random(3)
    assert start(segmentation, whole).wait()[0] == 0
    for number in SIGNALS:
        run, after = tmp_path / number.name, moments.randrange(1, 15)
        process = start(segmentation, run)
        process.await_(process.at_work)
        process.await_(lambda: len(masks(run)) >= after)                                        # noqa: B023
        status = stop(process, number, moments.uniform(0, 0.03), "so there is no run.json; --overwrite starts again")
        check_whole(run)
        if status == 130:
            assert frames_of(run / "overlay.mp4") == len(masks(run)) >= after
        assert (run / "run.json").exists() == (status == 0)
        assert all(path.read_bytes() == (whole / "masks" / path.name).read_bytes() for path in masks(run))
        assert start(segmentation, run).wait()[0] == 0
        assert results(run) == results(whole)


def start(command: list[str], output: Path) -> Command:
    return Command(command[0], [*command[1:], "--output", output], output.with_suffix(".log"))


def stop(process: Command, number: signal.Signals, delay: float, words: str) -> int:
    """Send a signal after so many seconds: 130 and a line that says how to resume, unless the command was faster."""
    time.sleep(delay)
    process.send(number)
    status, said = process.wait()
    assert status in ((0, -signal.SIGKILL) if number == signal.SIGKILL else (0, 130))
    assert status != 130 or words in said
    return status


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def masks(run: Path) -> list[Path]:
    return sorted((run / "masks").glob("[!.]*.png"))
