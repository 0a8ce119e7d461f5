"""The data doctor: the layouts it recognizes, its command, and the traps of the reference data."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from dataset.check import check
from dataset.errors import DatasetError
from dataset.masks import write_image
from dataset.static import read_folders, read_pairs
from scripts.check_dataset import main
from tests.doctor import SIZE, kinds, make_miniature, mask_of, truncate


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return make_miniature(tmp_path_factory.mktemp("miniature"))


@pytest.fixture
def davis(miniature, tmp_path):
    return shutil.copytree(miniature / "DAVIS", tmp_path / "DAVIS")


@pytest.fixture
def youtube(miniature, tmp_path):
    return shutil.copytree(miniature / "YouTube", tmp_path / "YouTube")


def test_the_layouts_of_the_miniature_data(miniature):
    report = check(miniature / "DAVIS")
    assert (report.title, report.findings) == ("DAVIS 2017, 480p (train 2, val 1)", [])
    assert report.counts == {"videos": 3, "frames": 15, "masks": 15, "objects": 6}
    report = check(miniature / "YouTube")
    assert report.title == "YouTube-VOS (train 2; valid 1)"
    assert report.counts["frames"] == 33
    assert kinds(report, "error") == {}
    assert check(miniature / "YouTube/train").title == "YouTube-VOS (train 2)"
    report = check(miniature / "static")
    assert (report.title, report.findings) == ("still images, masks beside them", [])
    assert report.counts == {"images": 4, "masks": 4}
    report = check(miniature / "DAVIS/JPEGImages/480p")
    assert (report.title, report.counts) == ("folder of frames", {"videos": 3, "frames": 15})


def test_2016_in_both_list_forms_recognizes_its_masks(tmp_path):
    for form, folder in (("names", "2016"), ("paths", "480p")):
        root = tmp_path / form
        make_2016(root, folder, form == "paths")
        report = check(root)
        assert report.title == "DAVIS 2016, 480p (val 1)"
        assert kinds(report) == {}
        assert kinds(report, "note") == {"0/255 mask": 1}
        report = check(root, year=2017)
        assert kinds(report, "error") == {"0/255 mask": 1, "missing list": 1}
        assert kinds(report, "warning") == {"0/255 mask": 2}


def test_object_numbers_under_the_lists_of_2016(davis):
    (davis / "ImageSets/2017").rename(davis / "ImageSets/2016")
    assert kinds(check(davis), "warning") == {"object numbers in a mask of 2016": 15}


def test_youtube_without_meta_and_whole_clips_without_masks(youtube):
    (youtube / "train/meta.json").unlink()
    assert check(youtube / "train").title == "YouTube-VOS (train 2, no meta.json)"
    shutil.rmtree(youtube / "train/Annotations")
    assert kinds(check(youtube / "train"), "error") == {"missing folder": 1}
    (youtube / "train").rename(youtube / "train_all_frames")
    report = check(youtube / "train_all_frames")
    assert kinds(report) == {}
    assert report.counts == {"videos": 2, "frames": 22}


def test_static_sets_as_distributed(tmp_path):
    image, mask = np.full((*SIZE, 3), 90, np.uint8), mask_of(255)
    trees = {
        "FSS-1000": ("abacus/1.jpg", "abacus/1.png"),
        "BIG": ("BIG_val/2007_1_im.jpg", "BIG_val/2007_1_gt.png"),
        "DUTS-TR": ("DUTS-TR-Image/a.jpg", "DUTS-TR-Mask/a.png"),
        "HRSOD": ("HRSOD_train/a.jpg", "HRSOD_train_mask/a.png"),
    }
    for name, files in trees.items():
        for file, content in zip(files, (image, Image.fromarray(mask)), strict=True):
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            write_image(tmp_path / name / file, content)
        (tmp_path / name / f"{files[0]}".replace("/", "/._")).write_bytes(b"a Mac's archive")
        report = check(tmp_path / name)
        assert (report.counts, report.findings) == ({"images": 1, "masks": 1}, []), name
        read = read_pairs(tmp_path / name) if name in ("FSS-1000", "BIG") else read_folders(
            tmp_path / name, *(file.split("/")[0] for file in files))
        assert read.pairs == (tuple(tmp_path / name / file for file in files),)


def test_instance_masks_of_still_images(tmp_path):
    for folder, content in (("images", np.full((*SIZE, 3), 90, np.uint8)), ("instances", Image.fromarray(mask_of(2)))):
        (tmp_path / folder).mkdir()
        for suffix in "ab":
            write_image(tmp_path / folder / f"{suffix}.{'jpg' if folder == 'images' else 'png'}", content)
    report = check(tmp_path)
    assert report.title == "still images and instance masks in folders: images + instances"
    assert (report.counts, report.findings) == ({"images": 2, "masks": 2}, [])
    write_image(tmp_path / "instances/a.png", Image.fromarray(mask_of(255)))
    assert kinds(check(tmp_path)) == {"mask without instances": 1}
    (tmp_path / "instances").rename(tmp_path / "masks")
    assert kinds(check(tmp_path, layout="instances")) == {"mask without instances": 1}
    assert kinds(check(tmp_path)) == {}     # recognized as masks of one object


def test_meta_is_compared_with_the_folders(youtube):
    meta = youtube / "train/meta.json"
    videos = json.loads(meta.read_text())["videos"]
    renamed = dict(zip([next(iter(videos)), "elsewhere"], videos.values(), strict=True))
    meta.write_text(json.dumps({"videos": renamed}))
    assert kinds(check(youtube / "train")) == {"missing folder": 1, "video not in meta.json": 1}
    meta.write_text("{")
    assert kinds(check(youtube / "train")) == {"unreadable file": 1}


def test_what_is_no_data_set_is_refused(tmp_path, davis):
    with pytest.raises(DatasetError, match="found no such folder"):
        check(tmp_path / "nowhere")
    (tmp_path / "empty/inside").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"expected one of the layouts .* found inside in it"):
        check(tmp_path / "empty")
    with pytest.raises(DatasetError, match="found none; check --layout"):
        check(tmp_path / "empty", layout="folders")
    with pytest.raises(DatasetError, match="expected images in layout pairs, found none"):
        check(tmp_path / "empty", layout="pairs")
    with pytest.raises(DatasetError, match="remove --year"):
        check(davis, layout="youtube", year=2016)


def test_the_command_groups_counts_and_exits(davis, tmp_path, capsys):
    assert main([str(davis)]) == 0
    assert "DAVIS 2017, 480p (train 2, val 1)\n3 videos, 15 frames, 15 masks, 6 objects" in capsys.readouterr().out
    for number in range(4):
        truncate(davis / f"JPEGImages/480p/clip-000/{number:05d}.jpg")
    assert main([str(davis), "--json", str(tmp_path / "report.json")]) == 1
    out = capsys.readouterr().out
    assert "error: unreadable file (4)" in out
    assert "and 1 more; --all shows them" in out
    assert "4 errors, 0 warnings, 0 notes" in out
    findings = json.loads((tmp_path / "report.json").read_text())["findings"]
    assert [finding["severity"] for finding in findings] == ["error"] * 4
    assert main([str(davis), "--all"]) == 1
    assert "more; --all" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "nowhere")])
    assert capsys.readouterr().err.count("\n") == 1


def test_the_traps_of_the_reference_data(shared, tmp_path):
    """Two sequences of the real DAVIS 2016, linked under a list of their own, and the clip of late objects."""
    lists = tmp_path / "ImageSets/2016"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bmx-bumps\nsurf\n")
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "480p").mkdir(parents=True)
        for name in ("bmx-bumps", "surf"):
            (tmp_path / kind / "480p" / name).symlink_to(shared / "data/DAVIS" / kind / "480p" / name)
    report = check(tmp_path)
    empty = {"/".join(finding.file.split("/")[-2:]) for finding in report.findings if finding.kind == "empty mask"}
    assert empty == {f"bmx-bumps/{number:05d}.png" for number in (60, *range(62, 75))} | {"surf/00054.png"}
    assert kinds(report, "note") == {"0/255 mask": 1}
    assert kinds(report, "error") == {}
    (finding,) = check(shared / "data/late_objects").findings
    assert (finding.severity, finding.kind) == ("warning", "mask of another size")
    assert "judo/00005.png" in finding.file


@pytest.mark.slow
def test_all_of_the_reference_data(shared):
    report = check(shared / "data/DAVIS")
    assert report.title == "DAVIS 2016, 480p (train 30, val 8)"
    assert report.counts == {"videos": 38, "frames": 2612, "masks": 2612}
    assert (kinds(report), kinds(report, "note")) == ({"empty mask": 15}, {"0/255 mask": 1})
    report = check(shared / "data/static/ECSSD")
    assert (report.counts, report.findings) == ({"images": 1000, "masks": 1000}, [])


def make_2016(root, lists, as_paths):
    lines = []
    for number in range(3):
        frame, mask = (root / folder / f"480p/bear/{number:05d}.{suffix}"
                       for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")))
        for path in (frame, mask):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_image(frame, np.full((*SIZE, 3), 90, np.uint8))
        write_image(mask, Image.fromarray(mask_of(255)))
        lines.append(" ".join(f"/{path.relative_to(root)}" for path in (frame, mask)))
    (root / "ImageSets" / lists).mkdir(parents=True)
    (root / "ImageSets" / lists / "val.txt").write_text("\n".join(lines) if as_paths else "bear\n")
