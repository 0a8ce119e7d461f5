"""A user's own video for the tests of segment_video.py: made, segmented, refused, read back."""

from pathlib import Path

import cv2
import pytest

from dataset.masks import write_image, write_labels
from dataset.synthetic_clip import SyntheticClip
from scripts import segment_video

FRAMES, SIZE = 8, (64, 96)


def make_clip():
    """FRAMES pairs of image and labels; object 2 appears late, at frame 4."""
    return list(SyntheticClip(seed=2, size=SIZE, length=FRAMES, objects=2, late=4))


def write_folder(root, clip):
    """frames/frame 3.png, frame 4.png, ...: names that are no numbers; the mask first.png beside the folder."""
    (root / "frames").mkdir()
    for index, (image, _) in enumerate(clip):
        write_image(root / "frames" / f"frame {index + 3}.png", image)
    write_labels(root / "first.png", clip[0][1])
    return root / "frames"


def write_masked_video(root, clip):
    """clip.mp4, and the masks 00000.png and 00004.png beside it."""
    for index in (0, 4):
        write_labels(root / f"{index:05d}.png", clip[index][1])
    return write_video(root / "clip.mp4", [image for image, _ in clip], "mp4v")


def write_video(path, images, codec="MJPG"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 12, images[0].shape[1::-1])
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def segment(source, mask, weights, *more, output=None):
    """Run the command; returns its output folder."""
    output = output or Path(source).parent / "out"
    masks = mask if isinstance(mask, list) else [mask]
    segment_video.main([
        "--input", str(source), "--mask", *map(str, masks), "--weights", str(weights), "--output", str(output),
        "--device", "cpu", "--precision", "fp32", "--memory-every", "2", "--top-k", "5", *map(str, more),
    ])
    return output


def refused(capsys, words, *arguments, **more):
    """The command ends with exit status 2 and one line that holds `words`."""
    with pytest.raises(SystemExit, match="2"):
        segment(*arguments, **more)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error


def read_video(path):
    capture, images = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        images.append(read[1][..., ::-1])
    return images
