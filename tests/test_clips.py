"""Training samples: pure functions of (seed, number)."""

import shutil

import numpy as np
import pytest
import torch

from dataset.annotated_videos import AnnotatedVideos, _large_enough
from dataset.clips import ClipConfig, Clips, SourceConfig
from dataset.errors import DatasetError
from dataset.masks import write_image, write_labels
from dataset.synthetic import make_davis, make_static, make_youtube


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    root = tmp_path_factory.mktemp("miniature")
    make_static(root / "static", images=6, size=(60, 80), seed=0, progress=False)
    make_davis(root / "DAVIS", sequences={"train": 3, "val": 1}, frames=12, size=(60, 80), progress=False)
    make_youtube(root / "YouTube", videos={"train": 3, "valid": 1}, frames=31, size=(60, 80), progress=False)
    return root


def rows(root):
    return (
        SourceConfig(str(root / "static"), "pairs", repeat=2),
        SourceConfig(str(root / "DAVIS"), "davis2017"),
        SourceConfig(str(root / "YouTube/train"), "youtube"),
    )


def clips_of(root, sources=None, **options):
    config = ClipConfig(sources or rows(root), **{"crop": 64, **options})
    return Clips(config, seed=7, batch_size=2, iterations=50)


def test_a_sample_depends_on_seed_and_number_alone(roots):
    first, second = clips_of(roots), clips_of(roots)
    later = {index: second[index] for index in (31, 4, 17)}        # another order, after other samples
    for index in (4, 17, 31):
        for name in ("frames", "labels"):
            assert torch.equal(first[index][name], later[index][name])
    other = Clips(first.config, seed=8, batch_size=2, iterations=50)
    assert not torch.equal(first[4]["frames"], other[4]["frames"])


def test_every_row_comes_once_an_epoch_and_repeats_count(roots):
    clips = clips_of(roots)
    assert len(clips.rows) == 2 * 6 + 3 + 3
    for epoch in range(2):
        assert sorted(clips._order(epoch)) == list(range(18))
    assert list(clips._order(0)) != list(clips._order(1))


def test_samples_have_the_promised_shapes_and_numbers(roots):
    clips = clips_of(roots)
    for index in range(24):
        sample = clips[index]
        assert sample["frames"].shape == (3, 3, 64, 64)
        assert sample["frames"].dtype == torch.uint8
        assert sample["labels"].shape == (3, 64, 64)
        assert sample["labels"].dtype == torch.uint8
        assert 1 <= sample["num_objects"] <= 2
        assert sample["labels"].max() <= sample["num_objects"]


def test_the_largest_gap_follows_the_schedule():
    config = ClipConfig(())
    assert [config.max_gap(p) for p in (0, 0.09, 0.1, 0.25, 0.35, 0.5, 0.89, 0.9, 0.99)] == [
        5, 5, 10, 15, 20, 25, 25, 5, 5
    ]


def test_masks_of_either_convention_and_wrong_data_are_told_apart(tmp_path):
    image = np.full((40, 50, 3), 90, np.uint8)
    mask = np.zeros((40, 50), np.uint8)
    mask[10:30, 10:30] = 1
    for name, scale in (("a", 1), ("b", 255)):
        write_image(tmp_path / f"{name}.jpg", image)
        write_labels(tmp_path / f"{name}.png", mask * scale)
    clips = clips_of(None, (SourceConfig(str(tmp_path), "pairs"),))
    for index in range(4):
        assert clips[index]["labels"].unique().tolist() == [0, 1]
    write_labels(tmp_path / "b.png", mask[:-1])
    with pytest.raises(DatasetError, match=r"b\.png: expected 50x40 pixels, .* frame .*b\.jpg, found 50x39 pixels"):
        [clips[index] for index in range(4)]
    (tmp_path / "b.png").unlink()
    with pytest.raises(DatasetError, match=r"b\.jpg: expected a mask"):
        clips_of(None, (SourceConfig(str(tmp_path), "pairs"),))
    with pytest.raises(DatasetError, match="found no such folder"):
        clips_of(None, (SourceConfig(str(tmp_path / "nowhere"), "pairs"),))
    with pytest.raises(DatasetError, match="multiple of 16"):
        clips_of(None, (SourceConfig(str(tmp_path), "pairs"),), crop=50)


def test_gaps_are_counted_in_video_frames(roots, monkeypatch):
    """Of seven annotated frames, a gap of 10 spans two in fives and, where every frame is annotated, all it can."""
    load, loaded = AnnotatedVideos._load, []
    monkeypatch.setattr(AnnotatedVideos, "_load", lambda self, *paths: loaded.append(paths[0]) or load(self, *paths))
    for stride, longest in ((None, 10), (1, 15)):
        row = SourceConfig(str(roots / "YouTube/train"), "youtube", stride=stride)
        clips = clips_of(roots, (row,), gaps=(10,), gap_switches=())
        loaded.clear()
        [clips[index] for index in range(30)]
        numbers = [int(path.stem) for path in loaded]
        assert max(abs(numbers[i] - numbers[i + 1]) for i in range(len(numbers)) if i % 3 < 2) == longest
    assert clips_of(roots, (SourceConfig(str(roots / "DAVIS"), "davis2017"),)).sources[0].stride == 1
    with pytest.raises(DatasetError, match="stride of at least 1 in 'youtube', found 0"):
        SourceConfig("", "youtube", stride=0)


def test_a_list_restricts_a_source(roots, tmp_path):
    names = sorted(path.name for path in (roots / "YouTube/train/Annotations").iterdir())
    listed = tmp_path / "list.txt"
    for root, layout, lines in (
        ("static", "pairs", ["00004", "00001"]),
        ("DAVIS", "davis2017", ["clip-001"]),
        ("YouTube/train", "youtube", names[1:]),
    ):
        listed.write_text("\n".join([*lines, "", lines[0]]) + "\n")
        row = SourceConfig(str(roots / root), layout, list=str(listed))
        assert used(clips_of(roots, (row,))) == sorted(lines)
        listed.write_text("\n".join(["nowhere", *lines, "either"]))
        with pytest.raises(DatasetError, match=r"list\.txt: .* 2 that are not there, the first nowhere; ") as error:
            clips_of(roots, (row,))
        assert "\n" not in str(error.value)
    listed.write_text("\n")
    with pytest.raises(DatasetError, match=r"list\.txt: expected names, one per line, found none"):
        clips_of(roots, (row,))
    listed.unlink()
    with pytest.raises(DatasetError, match=r"list\.txt: expected a list of names, found no text file"):
        clips_of(roots, (row,))


def test_a_list_below_the_root_may_name_class_folders(tmp_path):
    for name in ("abacus/1", "abacus/2", "zebra/1"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_image(tmp_path / f"{name}.jpg", np.full((40, 50, 3), 90, np.uint8))
        write_labels(tmp_path / f"{name}.png", np.eye(40, 50, dtype=np.uint8))
    (tmp_path / "classes.txt").write_text("abacus\n")
    assert used(clips_of(None, (SourceConfig(str(tmp_path), "pairs", list="classes.txt"),))) == ["1", "2"]


@pytest.mark.parametrize("form", ["names", "paths"])
def test_both_list_forms_of_davis_2016(roots, tmp_path, form):
    root = shutil.copytree(roots / "DAVIS", tmp_path / "DAVIS")
    names = (root / "ImageSets/2017/train.txt").read_text().split()[:2]
    frames = [f"480p/{name}/{index:05d}" for name in names for index in range(12)]
    path = root / "ImageSets" / {"names": "2016", "paths": "480p"}[form] / "train.txt"
    path.parent.mkdir()
    path.write_text("\n".join({
        "names": names, "paths": [f"/JPEGImages/{frame}.jpg /Annotations/{frame}.png" for frame in frames],
    }[form]) + "\n")
    clips = clips_of(None, (SourceConfig(str(root), "davis2016"),))
    assert used(clips) == names
    assert {clips[index]["num_objects"] for index in range(4)} == {1}
    shutil.rmtree(root / "Annotations/480p" / names[0])
    with pytest.raises(DatasetError, match=f"{names[0]}: expected the annotations of a listed video"):
        clips_of(None, (SourceConfig(str(root), "davis2016"),))
    with pytest.raises(DatasetError, match=r"2016/val\.txt: expected the list of split val"):
        clips_of(None, (SourceConfig(str(root), "davis2016", split="val"),))


@pytest.mark.parametrize("layout", ["pairs", "youtube"])
def test_a_mask_a_pixel_narrower_is_resized_with_a_warning(tmp_path, layout):
    """DAVIS at 480 pixels is 854 wide; some of its copies have masks of 853."""
    folders = ("JPEGImages/a", "Annotations/a") if layout == "youtube" else ("", "")
    masks = write_clip(tmp_path, *folders, [(480, 853), (480, 854), (480, 854)])
    clips = clips_of(None, (SourceConfig(str(tmp_path), layout),))
    with pytest.warns(UserWarning, match="0.png: 853x480 pixels, resized to its frame 0.jpg's 854x480 pixels") as shown:
        assert [clips[index]["labels"].unique().tolist() for index in range(3)] == [[0, 1]] * 3
    assert len({str(warning.message) for warning in shown}) == 1
    write_labels(masks[0], half(480, 800))
    with pytest.raises(DatasetError, match=r"0\.png: expected 854x480 pixels, .*0\.jpg, found 800x480 pixels"):
        [clips[index] for index in range(3)]


def test_the_thin_plate_warp_is_off_by_default(roots):
    source = SourceConfig(str(roots / "static"), "pairs")
    straight, bent = clips_of(roots, (source,)), clips_of(roots, (source,), thin_plate=1.0)
    assert not torch.equal(straight[0]["frames"], bent[0]["frames"])
    assert torch.equal(bent[0]["frames"], clips_of(roots, (source,), thin_plate=1.0)[0]["frames"])


def write_clip(root, frames, annotations, mask_sizes):
    """Frames of 854x480 with masks of the given (height, width); returns the masks' paths."""
    paths = []
    for number, size in enumerate(mask_sizes):
        for folder in (frames, annotations):
            (root / folder).mkdir(parents=True, exist_ok=True)
        write_image(root / frames / f"{number}.jpg", np.full((480, 854, 3), 90, np.uint8))
        paths.append(root / annotations / f"{number}.png")
        write_labels(paths[-1], half(*size))
    return paths


def half(height, width):
    """A mask whose object is a checkerboard: seen by every crop, with background beside it."""
    rows, columns = np.indices((height, width)) // 20
    return ((rows + columns) % 2).astype(np.uint8)


def used(clips):
    """What the one source of `clips` holds: names of videos, or of images."""
    (source,) = clips.sources
    if hasattr(source, "videos"):
        return [video[0][1].parent.name for video in source.videos]
    return [image.stem for image, _ in source.pairs]


def test_objects_that_are_small_in_the_first_frame_alone_are_skipped():
    """Areas in the first frame and in the larger of the others, in a crop of 192: a quarter of those in 384."""
    areas = {1: (230, 900), 2: (220, 900), 3: (220, 90), 4: (30, 90), 5: (20, 90), 6: (20, 0), 7: (900, 0)}
    labels = np.zeros((3, 192, 192), np.uint8)
    for number, (first, later) in areas.items():
        for frame, area in ((labels[0], first), (labels[2], later)):
            frame[20 * number:].ravel()[:area] = number
    assert _large_enough(labels, np.arange(1, 8)).tolist() == [1, 3, 4, 7]
    assert _large_enough(labels, np.array([], int)).tolist() == []


def test_skipping_small_objects_changes_no_other_clip(roots):
    plain, skipping = clips_of(roots), clips_of(roots, skip_small=True)
    equal = [torch.equal(plain[i]["labels"], skipping[i]["labels"]) for i in range(18)]
    assert sum(equal) > 9
