"""segment_video.py --masks: each video of a folder as if it were alone; finished ones are kept, failures are named."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataset.masks import write_labels
from scripts import segment_video
from tests.own_video import make_clip, write_folder, write_video
from tests.processes import Command

pytestmark = pytest.mark.usefixtures("one_thread")
LENGTH = 3


@pytest.fixture(scope="module")
def clip():
    return make_clip()[:LENGTH]


@pytest.fixture
def data(clip, tmp_path) -> Path:
    """videos/cat.avi with one mask, videos/frames with a folder of masks, and a text."""
    (tmp_path / "masks/frames").mkdir(parents=True)
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos/cat.avi", [image for image, _ in clip])
    write_labels(tmp_path / "masks/cat.png", clip[0][1])
    write_folder(tmp_path / "videos", clip)
    shutil.move(tmp_path / "videos/first.png", tmp_path / "masks/frames/frame 3.png")
    write_labels(tmp_path / "masks/frames/frame 4.png", 3 * (clip[1][1] > 0).astype(np.uint8))
    (tmp_path / "videos/notes.txt").write_text("mine")
    return tmp_path


def flags(weights, *more):
    return ["--weights", str(weights), "--device", "cpu", "--precision", "fp32", "--memory-every", "2", "--top-k", "5",
            "--no-overlay", *map(str, more)]


def run(data, weights, *more):
    segment_video.main(["--input", str(data / "videos"), "--masks", str(data / "masks"), "--output", str(data / "out"),
                        *flags(weights, *more)])
    return data / "out"


def refused(data, weights, capsys, *more):
    """What the command says when it ends with exit status 2."""
    with pytest.raises(SystemExit, match="2"):
        run(data, weights, *more)
    return capsys.readouterr().err


def written(folder):
    """The bytes of a folder's files, but for times in run.json."""
    content = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    content["run.json"] = json.loads(content["run.json"])
    for key in [key for key in content["run.json"]["totals"] if "seconds" in key or "fps" in key]:
        del content["run.json"]["totals"][key]
    return content


def made(data):
    """When each video was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (data / "out").glob("*/run.json")}


def test_each_folder_is_that_of_the_command_for_the_video_alone(data, weights, capsys):
    outputs = "--overlay", "--cutouts", "--rle", "--soft", "--polygons"
    output = run(data, weights, *outputs)
    said = capsys.readouterr()
    assert "notes: no masks, so they are left out" in said.err
    assert f"2 of 2 videos are finished: {output}/videos.json" in said.out
    for name, source, names in (
        ("cat", "cat.avi", ["cat.png"]), ("frames", "frames", ["frames/frame 3.png", "frames/frame 4.png"]),
    ):
        masks = [str(data / "masks" / each) for each in names]
        segment_video.main(["--input", str(data / "videos" / source), "--mask", *masks,
                            "--output", str(data / "alone" / name), *flags(weights, *outputs)])
        assert written(data / "alone" / name) == written(output / name)
    videos = json.loads((output / "videos.json").read_text())["videos"]
    assert {name: video["frames"] for name, video in videos.items()} == {"cat": LENGTH, "frames": LENGTH}
    assert sorted(os.listdir(output)) == ["cat", "frames", "videos.json"]


@pytest.mark.slow
def test_finished_videos_are_kept_and_others_are_done_again(data, weights):
    output = run(data, weights)
    whole, first = {name: written(output / name) for name in ("cat", "frames")}, made(data)
    run(data, weights)
    assert made(data) == first
    (output / "frames/run.json").unlink()                   # as a killed process leaves it
    (output / "frames/masks/frame 5.png").unlink()
    run(data, weights)
    assert made(data)["cat"] == first["cat"]
    assert {name: written(output / name) for name in ("cat", "frames")} == whole
    run(data, weights, "--rle")                             # the files asked for are not there
    assert min(made(data).values()) > max(first.values())
    assert (output / "cat/masks.json").exists()


def test_a_video_with_a_new_mask_is_done_again(data, weights):
    run(data, weights)
    first, mask = made(data), data / "masks/cat.png"
    os.utime(mask, ns=(first["cat"] + 10**9,) * 2)
    run(data, weights)
    assert made(data)["cat"] > first["cat"]
    assert made(data)["frames"] == first["frames"]


@pytest.mark.slow
def test_other_settings_are_refused_unless_overwrite(data, weights, capsys):
    run(data, weights)
    first = made(data)
    assert "expected max_frames=2 as in this command, found None" in refused(data, weights, capsys, "--max-frames", 2)
    assert made(data) == first
    output = run(data, weights, "--max-frames", 2, "--overwrite")
    assert len(list((output / "cat/masks").iterdir())) == 2
    second = made(data)
    run(data, weights, "--max-frames", 2, "--overwrite")    # a stopped run resumes with the same command
    assert made(data) == second


@pytest.mark.slow
def test_a_video_that_fails_is_named_and_the_others_are_segmented(data, weights, clip, capsys):
    (data / "videos/broken.mp4").write_text("no video")
    write_labels(data / "masks/broken.png", clip[0][1])
    shutil.copytree(data / "videos/frames", data / "videos/dog")
    write_labels(data / "masks/dog.png", np.ones((5, 5), np.uint8))
    shutil.copytree(data / "videos/frames", data / "videos/eel")
    (data / "videos/eel/frame 4.png").write_bytes(b"damaged")
    write_labels(data / "masks/eel.png", clip[0][1])
    *_, broken, dog, eel, last = refused(data, weights, capsys).strip().split("\n")
    assert broken.startswith(f"failed: broken: {data}/videos/broken.mp4: expected a video")
    assert dog.startswith("failed: dog: ")
    assert "expected 96x64 pixels, the size of its frame" in dog
    assert "eel/frame 4.png: expected a readable image" in eel
    assert last.startswith("error: broken, dog, eel: expected to segment every video, found that 3 of 5 failed")
    videos = json.loads((data / "out/videos.json").read_text())["videos"]
    assert [name for name, video in videos.items() if "error" in video] == ["broken", "dog", "eel"]
    assert made(data).keys() == {"cat", "frames"}
    first = made(data)
    for name in ("broken.mp4", "dog"):
        os.rename(data / "videos" / name, data / name)
    shutil.copy(data / "videos/frames/frame 4.png", data / "videos/eel/frame 4.png")
    run(data, weights)
    assert made(data).items() > first.items()
    assert made(data).keys() == {"cat", "frames", "eel"}


def test_what_no_run_wrote_is_not_touched(data, weights, capsys):
    (data / "out/cat").mkdir(parents=True)
    (data / "out/cat/notes.txt").write_text("mine")
    assert "failed: cat: " in (said := refused(data, weights, capsys))
    assert "found files in it" in said
    assert os.listdir(data / "out/cat") == ["notes.txt"]
    (data / "out/videos.json").write_text("[]")
    assert "videos.json: expected the record of a folder of videos" in refused(data, weights, capsys)
    assert (data / "out/videos.json").read_text() == "[]"


def test_folders_that_do_not_fit_are_refused(data, weights, capsys, tmp_path):
    shutil.copy(data / "masks/cat.png", data / "masks/cow.png")
    run(data, weights, "--max-frames", 1)
    assert f"warning: {data}/masks: cow: no video in {data}/videos" in capsys.readouterr().err
    (data / "masks/cat").mkdir()
    assert "cat.png: expected either this mask or the folder cat" in refused(data, weights, capsys)
    (data / "masks/cat").rmdir()
    (data / "videos/cat").mkdir()
    assert "expected one video per name" in refused(data, weights, capsys)
    shutil.rmtree(data / "masks")
    assert "masks: expected a folder, found nothing there" in refused(data, weights, capsys)
    (data / "masks").mkdir()
    shutil.rmtree(data / "videos/cat")
    assert "expected videos with masks in" in refused(data, weights, capsys)
    assert "found both" in refused(data, weights, capsys, "--mask", "cat.png")
    with pytest.raises(SystemExit, match="2"):
        segment_video.main(["--input", str(data), "--output", str(data / "out")])
    assert "found none; give one of the three" in capsys.readouterr().err


def test_a_stop_says_that_finished_videos_are_kept(data, weights, monkeypatch, capsys):
    monkeypatch.setattr("inference.video.loop.Result", lambda *_: _raise(KeyboardInterrupt()))
    with pytest.raises(SystemExit, match="130"):
        run(data, weights)
    assert "stopped in cat; run the same command again: finished videos are kept" in capsys.readouterr().err
    assert not (data / "out/videos.json").exists()
    monkeypatch.undo()
    run(data, weights)
    assert made(data).keys() == {"cat", "frames"}


@pytest.mark.slow
def test_two_processes_share_the_videos(data, weights):
    (data / "videos/broken.mp4").write_text("no video")
    shutil.copy(data / "masks/cat.png", data / "masks/broken.png")
    shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29523", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    arguments = ["--input", str(data / "videos"), "--masks", str(data / "masks"), *flags(weights)]
    ranks = [Command("scripts.segment_video", [*arguments, "--output", data / "out"], data / f"log {rank}.txt",
                     shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    assert [rank.wait()[0] for rank in ranks] == [2, 0]     # the first one reports for both
    with pytest.raises(SystemExit, match="2"):
        segment_video.main([*arguments, "--output", str(data / "alone")])
    assert ("cat: 3 frames" in ranks[0].log.read_text()) != ("frames: 3 frames" in ranks[0].log.read_text())
    for name in ("cat", "frames"):
        assert written(data / "out" / name) == written(data / "alone" / name)
    videos = [json.loads((data / each / "videos.json").read_text())["videos"] for each in ("out", "alone")]
    assert [list(each) for each in videos] == [["broken", "cat", "frames"]] * 2
    assert videos[0]["broken"] == videos[1]["broken"]
    assert "expected a video" in videos[0]["broken"]["error"]


def _raise(error):
    raise error
