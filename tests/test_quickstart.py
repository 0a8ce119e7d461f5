"""What scripts/quickstart.sh relies on: the plan of its steps, and the picture of its first clip."""

import re
from pathlib import Path

import numpy as np
import pytest

import train
from dataset.masks import overlay, read_image, read_labels, write_image, write_labels
from scripts import quickstart_plan, show_masks
from tests.document_commands import TINY

SCRIPT = (Path(__file__).parents[1] / "scripts/quickstart.sh").read_text()
STEPS = re.findall(r"^begin (\w+) ", SCRIPT, re.MULTILINE)


@pytest.mark.slow
def test_the_plan_measures_every_step(tmp_path, monkeypatch, capsys):
    read_config = train.read_config
    monkeypatch.setattr(train, "read_config", lambda path, sets: read_config(path, [
        *sets, *TINY.split(), "training.precision=fp32", f"training.iterations={iterations(path)}",
    ]))
    monkeypatch.setattr(quickstart_plan, "SIZE", (64, 96))
    quickstart_plan.main(["--output", str(tmp_path / "expected.tsv"), "--videos", "4", "--frames", "8",
                          "--device", "cpu"])
    lines = [line.split("\t") for line in (tmp_path / "expected.tsv").read_text().splitlines()]
    assert [name for name, _ in lines] == STEPS == ["picture", "data", "static", "video", "evaluation", "report"]
    expected = {name: int(seconds) for name, seconds in lines}
    assert 0 < 5 * expected["static"] < expected["video"]           # 10 and 1000 iterations
    assert re.search(r"video +\d+ s\n.*together", capsys.readouterr().out, re.DOTALL)


def iterations(path):
    return 10 if "static" in path.stem else 10_000


def test_the_plan_ablates_the_banks_of_the_script():
    (command,) = re.findall(r"--memory (.*) --write-masks", SCRIPT.replace("\\\n", " "))
    memory, _, frames = command.partition("--memory-frames ")
    assert tuple(memory.split()) == quickstart_plan.BANKS["memory"]
    assert tuple(map(int, frames.split())) == quickstart_plan.BANKS["memory_frames"]


def test_frames_with_their_masks(tmp_path, capsys):
    for index in range(9):
        labels = np.zeros((20, 30), np.uint8)
        labels[4:9, index:index + 6] = 1
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "masks").mkdir(exist_ok=True)
        write_image(tmp_path / f"images/{index}.png", np.full((20, 30, 3), 10 * index, np.uint8))
        write_labels(tmp_path / f"masks/{index:05d}.png", labels)
    arguments = ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]
    show_masks.main([*arguments, "--output", str(tmp_path / "out/picture.png"), "--rows", "1", "--columns", "3"])
    picture = read_image(tmp_path / "out/picture.png")
    assert picture.shape == (20, 98, 3)
    for place, index in enumerate((0, 4, 8)):
        frame = read_image(tmp_path / f"images/{index}.png")
        shown = overlay(frame, read_labels(tmp_path / f"masks/{index:05d}.png"))
        assert np.array_equal(picture[:, 34 * place:34 * place + 30], shown)
    assert "frames 0, 4, 8 with their masks" in capsys.readouterr().out

    (tmp_path / "masks/00003.png").unlink()
    with pytest.raises(SystemExit):
        show_masks.main([*arguments, "--output", str(tmp_path / "picture.png")])
    assert "expected 9 masks, one for each image" in capsys.readouterr().err
