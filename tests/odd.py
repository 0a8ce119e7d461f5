"""What the tests of odd input share: small data, the commands that run on them, and their refusals."""

import re
from pathlib import Path

import numpy as np
import pytest

import eval_davis
import eval_youtube
from dataset.masks import write_image, write_labels
from scripts import segment_video
from tests.odd_masks import SIZE, square

FLAGS = ("--device", "cpu", "--memory-every", "2", "--top-k", "5")


def write_clip(
    root: Path, mask: np.ndarray | None = None, names: tuple[str, ...] = ("00000", "00001", "00002"),
    size: tuple[int, int] = SIZE, video: str = "cat", truth: bool = False,
) -> Path:
    """A video in the layouts of DAVIS (root/DAVIS) and YouTube-VOS (root/YouTube, links to the former).

    It has a mask of its first frame (`truth`: of every frame). Returns the path of the first mask.
    """
    mask = square(size=size) if mask is None else mask
    frames, masks = (root / "DAVIS" / kind / "480p" / video for kind in ("JPEGImages", "Annotations"))
    frames.mkdir(parents=True)
    masks.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for name in names:
        write_image(frames / f"{name}.jpg", noise.integers(0, 255, (*size, 3), np.uint8))
    for name in names if truth else names[:1]:
        write_labels(masks / f"{name}.png", mask)
    (root / "DAVIS/ImageSets/2017").mkdir(parents=True)
    (root / "DAVIS/ImageSets/2017/val.txt").write_text(f"{video}\n")
    for folder, kind in ((frames, "JPEGImages"), (masks, "Annotations")):
        (root / "YouTube" / kind).mkdir(parents=True)
        (root / "YouTube" / kind / video).symlink_to(folder)
    return masks / f"{names[0]}.png"


def davis(root: Path, weights: Path, *more: str, output: Path | None = None) -> None:
    eval_davis.main(["--davis-root", str(root / "DAVIS"), "--weights", str(weights), "--output",
                     str(output or root / "out"), *FLAGS, *more])


def youtube(root: Path, weights: Path, *more: str, output: Path | None = None) -> None:
    eval_youtube.main(["--youtube-root", str(root / "YouTube"), "--weights", str(weights), "--output",
                       str(output or root / "out"), *FLAGS, *more])


def own_video(root: Path, weights: Path, *more: str, output: Path | None = None) -> None:
    mask = next((root / "YouTube/Annotations/cat").glob("*.png"))
    segment_video.main(["--input", str(root / "YouTube/JPEGImages/cat"), "--mask", str(mask), "--weights",
                        str(weights), "--output", str(output or root / "out"), *FLAGS, *more])


COMMANDS = {"eval_davis": davis, "eval_youtube": youtube, "segment_video": own_video}


class Refusals:
    """`with refused(WORDS):` the command inside ends with exit status 2 and one line that matches each of WORDS; with
    alone=True, it prints no other line to stderr."""

    def __init__(self, capsys: pytest.CaptureFixture) -> None:
        self.capsys = capsys

    def __call__(self, *words: str, alone: bool = False) -> "Refusals":
        self.words, self.alone = words, alone
        return self

    def __enter__(self) -> None:
        self.capsys.readouterr()

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        assert error is not None, f"not refused: {self.words}"
        if not isinstance(error, SystemExit):
            return False
        text = self.capsys.readouterr().err
        printed = text.strip().splitlines()
        assert error.code == 2
        assert not self.alone or text.count("\n") == 1, text
        assert sum("error: " in line for line in printed) == 1
        assert printed[-1].startswith("error: ")
        assert not any("Traceback" in line for line in printed)
        for words in self.words:
            assert re.search(words, printed[-1]), printed[-1]
        return True
