"""One folder of frames is ordered alike by every reader: numbers in names count as numbers."""

import importlib
import random
from pathlib import Path

import numpy as np
import pytest

from dataset.annotated_videos import read_video_folders
from dataset.davis import davis_sequences
from dataset.image_files import list_images, natural_order
from dataset.layouts import list_videos
from dataset.masks import write_image, write_labels
from dataset.static import match_folders, match_pairs
from dataset.videofile import open_video
from dataset.youtube import youtube_sequences
from inference import VideoSegmenter
from scripts import prepare_youtube

NAMES = ["07", "7", "IMG_1", "IMG_9", "IMG_10", "IMG_10_2", "IMG_10_11", "frame 2", "frame 10b", "кадр 3", "кадр 20"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One video in the layouts of YouTube-VOS and DAVIS, and as still images with masks beside them."""
    root, image = tmp_path_factory.mktemp("order"), np.zeros((16, 16, 3), np.uint8)
    for name in random.Random(0).sample(NAMES, len(NAMES)):
        for folder in ("YouTube/JPEGImages/cat", "DAVIS/JPEGImages/480p/cat", "pairs"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            write_image(root / folder / f"{name}.jpg", image)
        for folder in ("YouTube/Annotations/cat", "DAVIS/Annotations/480p/cat", "pairs"):
            (root / folder).mkdir(parents=True, exist_ok=True)
            write_labels(root / folder / f"{name}.png", np.eye(16, dtype=np.uint8))
    (root / "DAVIS/ImageSets/2017").mkdir(parents=True)
    (root / "DAVIS/ImageSets/2017/val.txt").write_text("cat\n")
    return root


def test_evaluation(root):
    (sequence,) = davis_sequences(root / "DAVIS")
    assert sequence.frame_names == [frame.name for frame in sequence] == list(sequence.ground_truth) == NAMES
    (video,) = youtube_sequences(root / "YouTube")
    assert video.frame_names == [frame.name for frame in video] == list(video.annotations) == NAMES


def test_a_video_of_ones_own(root):
    video = open_video(root / "YouTube/JPEGImages/cat")
    assert video.frame_names == [frame.name for frame in video] == NAMES


@pytest.mark.parametrize(("folder", "layout"), [
    ("DAVIS", "davis"), ("YouTube", "youtube"), ("YouTube/JPEGImages", "frames"), ("pairs", "pairs"),
])
def test_the_data_doctor(root, folder, layout):
    (video,) = list_videos(root / folder, layout, None, [])[1]
    assert [frame.stem for frame, _ in video.pairs] == NAMES


def test_training(root):
    (video,) = read_video_folders(root / "YouTube/JPEGImages", root / "YouTube/Annotations", ["cat"]).videos
    assert [frame.stem for frame, _ in video] == [mask.stem for _, mask in video] == NAMES
    folders = root / "YouTube/JPEGImages/cat", root / "YouTube/Annotations/cat"
    for pairs in (match_pairs(root / "pairs"), match_folders(*folders)):
        assert [image.stem for image, _ in pairs] == [mask.stem for _, mask in pairs if mask] == NAMES


def test_the_resized_copy_of_youtube(root, tmp_path, monkeypatch):
    order: list[str] = []
    shrink = prepare_youtube.shrink_image
    monkeypatch.setattr(prepare_youtube, "shrink_image", lambda path, *rest: order.append(path.stem) or shrink(
        path, *rest))
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / "in" / kind).mkdir(parents=True)
        (tmp_path / "in" / kind / "cat").symlink_to(root / "YouTube" / kind / "cat")
    prepare_youtube.prepare(tmp_path / "in", tmp_path / "out", short_side=8)
    assert order == NAMES
    assert [path.stem for path in list_images(tmp_path / "out/JPEGImages/cat")] == NAMES


def test_the_order_does_not_depend_on_the_order_of_listing():
    paths = [Path(f"{name}.png") for name in [*NAMES, "007", "7 ", "IMG_009"]]
    expected = natural_order(paths)
    for seed in range(20):
        assert natural_order(random.Random(seed).sample(paths, len(paths))) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("module", "arguments"), [
    ("eval_davis", "--davis-root {0}/DAVIS --output {1}"),
    ("eval_youtube", "--youtube-root {0}/YouTube --output {1}"),
    ("scripts.segment_video", "--input {0}/DAVIS/JPEGImages/480p/cat --mask {0}/mask.png --output {1}"),
    ("scripts.ablate", "--davis-root {0}/DAVIS --memory lfu --memory-frames 2 --output {1}"),
    ("scripts.policy_lab", "keys --davis-root {0}/DAVIS --year 2017 --keys {1}"),
])
def test_every_command_that_segments(module, arguments, weights, tmp_path, monkeypatch):
    """Frame i of the right order is a picture of gray 10 * i."""
    for i, name in enumerate(NAMES):
        for folder in ("YouTube/JPEGImages/cat", "DAVIS/JPEGImages/480p/cat"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / folder / f"{name}.png", np.full((32, 32, 3), 10 * i, np.uint8))
        for folder in ("YouTube/Annotations/cat", "DAVIS/Annotations/480p/cat"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            write_labels(tmp_path / folder / f"{name}.png", np.eye(32, dtype=np.uint8))
    write_labels(tmp_path / "mask.png", np.eye(32, dtype=np.uint8))
    (tmp_path / "DAVIS/ImageSets/2017").mkdir(parents=True)
    (tmp_path / "DAVIS/ImageSets/2017/val.txt").write_text("cat\n")
    seen, encode = [], VideoSegmenter.encode

    def watched(segmenter, frame):
        seen.append(int(frame.mean()))
        return encode(segmenter, frame)

    monkeypatch.setattr(VideoSegmenter, "encode", watched)
    words = f"{arguments} --weights {weights} --device cpu".format(tmp_path, tmp_path / "out").split()
    importlib.import_module(module).main(words)
    assert seen == [10 * i for i in range(len(NAMES))]
