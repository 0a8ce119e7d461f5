"""DAVIS in the layouts of its archives, and folders of frames: what is read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dataset.davis import davis_sequences, has_full_ground_truth
from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from dataset.image_files import list_images, natural_order
from dataset.masks import write_labels

HEIGHT, WIDTH = 12, 16


def test_semi_supervised_protocol_of_2017(tmp_path):
    make_davis(tmp_path, {"bear": [1, 2], "dog": [1]})
    bear, dog = davis_sequences(tmp_path, year=2017)
    assert (bear.name, len(bear), bear.size, bear.frame_names) == ("bear", 3, (HEIGHT, WIDTH),
                                                                   ["00000", "00001", "00002"])
    frames = list(bear)
    assert [frame.name for frame in frames] == bear.frame_names
    assert frames[0].image.shape == (HEIGHT, WIDTH, 3)
    assert frames[0].image.dtype == frames[0].annotation.dtype == np.uint8
    assert np.unique(frames[0].annotation).tolist() == [0, 1, 2]
    assert frames[1].annotation is None
    assert frames[2].annotation is None
    assert list(bear.ground_truth) == bear.frame_names
    assert has_full_ground_truth(dog)


def test_2016_is_binary_in_both_forms_of_its_lists(tmp_path):
    make_davis(tmp_path / "names", {"bear": [255], "dog": [1, 2]}, year="2016")
    make_davis(tmp_path / "paths", {"bear": [255], "dog": [1, 2]}, year="480p", as_paths=True)
    for root in (tmp_path / "names", tmp_path / "paths"):
        sequences = davis_sequences(root, year=2016)
        assert [sequence.name for sequence in sequences] == ["bear", "dog"]
        for sequence in sequences:
            assert np.unique(next(iter(sequence)).annotation).tolist() == [0, 1]


def test_full_resolution(tmp_path):
    make_davis(tmp_path, {"bear": [1]}, resolution="Full-Resolution")
    assert len(davis_sequences(tmp_path, resolution="Full-Resolution")) == 1
    with pytest.raises(DatasetError, match=r"480p: expected the JPEGImages .* found Full-Resolution in"):
        davis_sequences(tmp_path)


def test_annotations_may_stop_after_the_first(tmp_path):
    make_davis(tmp_path, {"bear": [1]}, annotated=1, split="test-dev")
    (bear,) = davis_sequences(tmp_path, split="test-dev")
    assert not has_full_ground_truth(bear)
    assert list(bear.ground_truth) == ["00000"]


def test_void_of_a_given_annotation_is_background(tmp_path):
    make_davis(tmp_path, {"bear": [1, 255]})
    (bear,) = davis_sequences(tmp_path)
    assert np.unique(next(iter(bear)).annotation).tolist() == [0, 1]


def test_sequences_by_name_keep_the_order_of_the_list(tmp_path):
    make_davis(tmp_path, {"bear": [1], "cow": [1], "dog": [1]})
    assert [sequence.name for sequence in davis_sequences(tmp_path, names=["dog", "bear"])] == ["bear", "dog"]
    with pytest.raises(DatasetError, match=r"val\.txt: expected to find sequence cwo.* did you mean cow\?"):
        davis_sequences(tmp_path, names=["bear", "cwo"])


def test_binary_masks_contradict_2017(tmp_path):
    make_davis(tmp_path, {"bear": [255]})
    with pytest.raises(DatasetError, match=r"bear/00000\.png: .* looks like the masks of DAVIS 2016; use --year 2016"):
        davis_sequences(tmp_path, year=2017)


def test_what_is_missing_is_named(tmp_path):
    check = _refused(tmp_path)
    check("nowhere", r"nowhere: expected the DAVIS folder", root=tmp_path / "nowhere")
    check("a year", r"found 2018", year=2018)
    make_davis(tmp_path, {"bear": [1]})
    check("a list", r"2017/train\.txt: expected the list of split train, found 2017/val\.txt", split="train")
    check("a list of 2016", r"2016/val\.txt: .* found 2017/val\.txt", year=2016)
    annotation = tmp_path / "Annotations/480p/bear/00000.png"
    annotation.unlink()
    check("an annotation", r"bear/00000\.png: expected the annotation of the first frame, found 2 others")
    for frame in (tmp_path / "JPEGImages/480p/bear").iterdir():
        frame.unlink()
    check("frames", r"bear: expected the frames of a sequence, found no image")
    (tmp_path / "JPEGImages/480p/bear").rmdir()
    check("a sequence", r"JPEGImages/480p/bear: expected a folder of images, found nothing there")
    (tmp_path / "ImageSets/2017/val.txt").write_text("\n")
    check("names", r"val\.txt: expected the names of sequences, one per line, found none")


def test_frames_are_opened_by_content_in_natural_order(tmp_path):
    for number in (10, 9, 1):
        image = Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0))
        image.save(tmp_path / f"{number}.jpg", format="PNG")
    Image.new("RGB", (WIDTH, HEIGHT), (11, 0, 0)).save(tmp_path / "11.frame", format="PNG")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.jpg").write_text("no image")
    sequence = FolderSequence("clip", list_images(tmp_path), {})
    assert [frame.image[0, 0, 0] for frame in sequence] == [1, 9, 10, 11]
    assert natural_order([Path("b10"), Path("b9"), Path("a")]) == [Path("a"), Path("b9"), Path("b10")]
    assert natural_order([Path("1.jpg"), Path("01.jpg"), Path("0.jpg")]) == [Path("0.jpg"), Path("01.jpg"),
                                                                             Path("1.jpg")]


def test_sizes_must_agree(tmp_path):
    frames = [tmp_path / "0.png", tmp_path / "1.png"]
    for frame, width in zip(frames, (WIDTH, WIDTH + 1), strict=True):
        Image.new("RGB", (width, HEIGHT)).save(frame)
    with pytest.raises(DatasetError, match=r"1\.png: expected a frame of 16x12 pixels like 0\.png, found 17x12"):
        list(FolderSequence("clip", frames, {}))
    mask = tmp_path / "mask.png"
    write_labels(mask, np.ones((HEIGHT, WIDTH - 1), np.uint8))
    with pytest.raises(DatasetError, match=r"mask\.png: expected 16x12 .* frame .*0\.png, found 15x12"):
        list(FolderSequence("clip", frames[:1], {"0": mask}))


def test_ambiguous_folders_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="expected at least one frame"):
        FolderSequence("clip", [], {})
    with pytest.raises(DatasetError, match=r"0\.png: expected one file per frame name, found 0\.jpg"):
        FolderSequence("clip", [tmp_path / "0.png", tmp_path / "0.jpg"], {})
    with pytest.raises(DatasetError, match=r"5\.png: .* found no frame named 5"):
        FolderSequence("clip", [tmp_path / "0.png"], {"5": tmp_path / "5.png"})


def test_a_binary_mask_is_not_taken_for_void(tmp_path):
    frame, mask = tmp_path / "0.png", tmp_path / "mask.png"
    Image.new("RGB", (WIDTH, HEIGHT)).save(frame)
    Image.new("1", (WIDTH, HEIGHT), 1).save(mask)
    with pytest.raises(DatasetError, match=r"mask\.png: expected object numbers .* only 0 and 255"):
        list(FolderSequence("clip", [frame], {"0": mask}))
    (read,) = FolderSequence("clip", [frame], {"0": mask}, binary=True)
    assert read.annotation.min() == 1


def make_davis(root: Path, sequences: dict[str, list[int]], year: str = "2017", split: str = "val",
               resolution: str = "480p", as_paths: bool = False, annotated: int = 3) -> None:
    """Three frames per sequence; its labels lie side by side in the first `annotated` annotations."""
    lines = []
    for name, labels in sequences.items():
        frames, annotations = root / "JPEGImages" / resolution / name, root / "Annotations" / resolution / name
        frames.mkdir(parents=True)
        annotations.mkdir(parents=True)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for position, label in enumerate(labels):
            mask[2:8, 3 * position + 1:3 * position + 4] = label
        for index in range(3):
            Image.new("RGB", (WIDTH, HEIGHT)).save(frames / f"{index:05d}.jpg")
            if index < annotated:
                Image.fromarray(mask).save(annotations / f"{index:05d}.png")
            lines.append(f"/JPEGImages/{resolution}/{name}/{index:05d}.jpg "
                         f"/Annotations/{resolution}/{name}/{index:05d}.png")
    path = root / "ImageSets" / year / f"{split}.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines if as_paths else sequences) + "\n")


def _refused(default_root: Path):
    def check(what: str, message: str, root: Path = default_root, **options) -> None:
        with pytest.raises(DatasetError, match=message) as refused:
            davis_sequences(root, **options)
        assert "\n" not in str(refused.value), what
    return check
