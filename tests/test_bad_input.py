"""Odd frames, folders and paths: what is refused, in one line and with exit status 2, and what happens otherwise.

Where every kind of odd input is tested (docs/VIDEO.md and docs/DATA.md have the table for users):

frames      truncated JPEG            test_eval_davis (bad_input), test_segment_video_ends (damaged_frame),
                                      test_training
            truncated video           test_segment_video (truncated_video), here (without its index)
            no video at all           test_segment_video_ends (what_is_no_video)
            differing sizes           here; test_davis, test_videofile (streams), test_check
            one frame                 here; test_segment_video (paths_may_have_spaces)
            4K, odd and tiny sizes    here; test_segment_video (overlays_of_odd_sizes), test_segmenter
            object of one pixel       here; test_segment_video (object_of_one_pixel)
folders     empty                     here; test_segment_video, test_davis, test_check
            names that are no numbers here; test_segment_video (the fixture `folder`), test_videofile
            Unicode, spaces           here; test_segment_video (paths_may_have_spaces)
            output that is not ours   here (a file, no access); test_eval_davis, test_segment_video_ends (overwritten)
            of another layout         here (DAVIS for YouTube-VOS and back); test_bad_settings (several data sets)
masks       all kinds                 test_bad_masks; test_videofile (GivenMasks), test_one_judge (the data doctor)
weights     all files, all commands   test_bad_weights; test_checkpoint, test_segmenter_state
settings    YAML, --set, flags        test_bad_settings; test_training, test_eval_davis (flags_may_come_from_a_yaml)
            another run's settings    test_bad_settings (training), test_eval_davis (evaluations)
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval_davis
import eval_youtube
from dataset.masks import read_image, read_labels, write_image, write_labels
from scripts import convert_checkpoint, segment_video
from tests.odd import COMMANDS, FLAGS, davis, own_video, write_clip, youtube
from tests.odd_masks import SIZE, square

# Frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", COMMANDS.values(), ids=COMMANDS)
def test_frames_of_differing_sizes_are_refused(run, weights, tmp_path, refused):
    write_clip(tmp_path)
    write_image(tmp_path / "DAVIS/JPEGImages/480p/cat/00002.jpg", np.zeros((SIZE[0], SIZE[1] + 2, 3), np.uint8))
    with refused("00002.jpg: expected a frame of 64x48 pixels like 00000.jpg, found 66x48", "give all frames"):
        run(tmp_path, weights)


def test_a_video_without_its_index_is_refused(weights, tmp_path, refused):
    """What remains of an MP4 when its recording was cut off: the index comes last."""
    cv2 = pytest.importorskip("cv2")
    write_labels(tmp_path / "mask.png", square())
    writer = cv2.VideoWriter(str(tmp_path / "a.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 12, SIZE[::-1])
    for shade in range(8):
        writer.write(np.full((*SIZE, 3), 20 * shade, np.uint8))
    writer.release()
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
    with refused(r"a\.mp4: expected a video, found nothing that decodes as one", "ffmpeg -i"):
        segment_video.main(["--input", str(tmp_path / "a.mp4"), "--mask", str(tmp_path / "mask.png"), "--weights",
                            str(weights), "--output", str(tmp_path / "out"), *FLAGS])


def test_one_frame_is_segmented_and_not_scored(weights, tmp_path, capsys):
    write_clip(tmp_path, names=("00000",), truth=True)
    davis(tmp_path, weights)
    assert "no frame between the first and the last, so nothing was scored" in capsys.readouterr().out
    assert np.array_equal(read_labels(tmp_path / "out/cat/00000.png"), square())
    assert json.loads((tmp_path / "out/run.json").read_text())["scores"]["J&F-Mean"] is None


@pytest.mark.parametrize(("run", "size"), [(davis, (37, 53)), (youtube, (37, 53)), (davis, (5, 7)), (youtube, (1, 1))])
def test_sizes_that_are_no_multiples_of_anything(run, size, weights, tmp_path):
    mask = np.zeros(size, np.uint8)
    mask[0, 0] = 1                                      # an object of one pixel
    write_clip(tmp_path, mask, size=size)
    run(tmp_path, weights if min(size) > 16 else Path("compact"))     # the tiny network cannot normalize a single cell
    masks = sorted((tmp_path / "out").glob("**/cat/*.png"))
    assert len(masks) == 3
    assert {read_labels(path).shape for path in masks} == {size}
    assert np.array_equal(read_labels(masks[0]), mask)


@pytest.mark.slow
def test_4k_is_shrunk_for_the_network_and_masks_are_brought_back(weights, tmp_path):
    write_clip(tmp_path, size=(2160, 3840), names=("00000", "00001"))
    own_video(tmp_path, weights, "--short-side", "96", "--no-overlay")
    assert read_labels(tmp_path / "out/masks/00001.png").shape == (2160, 3840)


# Folders and paths -----------------------------------------------------------------------------------------------


def test_empty_folders_are_named(weights, tmp_path, refused):
    (tmp_path / "DAVIS").mkdir()
    (tmp_path / "YouTube").mkdir()
    with refused("DAVIS/JPEGImages/480p: expected the JPEGImages of DAVIS", "found nothing", "check the root"):
        davis(tmp_path, weights)
    with refused("YouTube/JPEGImages: expected the YouTube-VOS layout", "no such folder", "check --youtube-root"):
        youtube(tmp_path, weights)
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / "YouTube" / kind).mkdir()
    with refused("YouTube/Annotations: expected a folder per video, found none"):
        youtube(tmp_path, weights)
    (tmp_path / "YouTube/Annotations/cat").mkdir()
    with refused("Annotations/cat: expected the masks of objects where they first appear, found none; add them"):
        youtube(tmp_path, weights)
    shutil.rmtree(tmp_path / "DAVIS")
    shutil.rmtree(tmp_path / "YouTube")
    mask = write_clip(tmp_path)
    for frame in (tmp_path / "DAVIS/JPEGImages/480p/cat").iterdir():
        frame.unlink()
    with refused("480p/cat: expected the frames of a sequence, found no image; add them, or take"):
        davis(tmp_path, weights)
    mask.unlink()
    assert not (tmp_path / "out").exists()


def test_each_evaluation_names_the_other_for_the_others_layout(weights, tmp_path, refused):
    write_clip(tmp_path)
    with refused(r"DAVIS: .* found that of DAVIS \(JPEGImages/480p\); use eval_davis.py --davis-root .*DAVIS"):
        eval_youtube.main(["--youtube-root", str(tmp_path / "DAVIS"), "--weights", str(weights), "--output",
                           str(tmp_path / "out")])
    with refused("expected the JPEGImages of DAVIS at resolution 480p, found cat in", "or use eval_youtube.py"):
        eval_davis.main(["--davis-root", str(tmp_path / "YouTube"), "--weights", str(weights), "--output",
                         str(tmp_path / "out")])


@pytest.mark.slow
def test_names_that_are_no_numbers_unicode_and_spaces(weights, tmp_path):
    root = tmp_path / "мой котёнок 猫 100%"
    write_clip(root, names=("кадр a", "кадр b", "кадр c"), video="кот и 猫", truth=True)
    davis(root, weights, "--overlays", output=root / "готово")
    names = ["кадр a.png", "кадр b.png", "кадр c.png"]
    assert sorted(path.name for path in (root / "готово/кот и 猫").iterdir()) == names
    assert "кот и 猫_1" in (root / "готово/per-sequence_results-val.csv").read_text()
    youtube(root, weights, output=root / "ещё")
    assert sorted(path.name for path in (root / "ещё/Annotations/кот и 猫").iterdir()) == names


@pytest.mark.slow
@pytest.mark.parametrize("run", COMMANDS.values(), ids=COMMANDS)
def test_an_output_that_cannot_be_written(run, weights, tmp_path, refused, monkeypatch):
    write_clip(tmp_path)
    (tmp_path / "file").write_text("mine")
    with refused("file: expected a folder.*, found a file", "check the path|choose another --output"):
        run(tmp_path, weights, output=tmp_path / "file")
    with refused("file.*: expected a folder.*, found a file", "check the path|choose another --output"):
        run(tmp_path, weights, output=tmp_path / "file/below")
    assert (tmp_path / "file").read_text() == "mine"
    monkeypatch.setattr(Path, "mkdir", _no_access)
    with refused("out.*: expected a path that can be read and written, found permission denied", "who may use it"):
        run(tmp_path, weights)


def test_converted_weights_that_cannot_be_written(weights, tmp_path, refused):
    (tmp_path / "file").write_text("mine")
    with refused("file: expected a folder, found a file in its place"):
        convert_checkpoint.main([str(weights), str(tmp_path / "file/own.pth")])


def test_frames_of_other_formats_and_depths_are_read(weights, tmp_path):
    """Gray, with transparency, 16 bits, animated: as RGB of 8 bits, the first picture."""
    write_clip(tmp_path)
    folder = tmp_path / "DAVIS/JPEGImages/480p/cat"
    Image.new("RGBA", SIZE[::-1], (9, 9, 9, 0)).save(folder / "00001.jpg", format="PNG")
    Image.new("I;16", SIZE[::-1], 9000).save(folder / "00002.jpg", format="PNG")
    Image.new("P", SIZE[::-1]).save(folder / "00003.gif", save_all=True, append_images=[Image.new("P", SIZE[::-1], 3)])
    assert read_image(folder / "00002.jpg")[0, 0].tolist() == [35, 35, 35]         # 9000 of 65535
    davis(tmp_path, weights)
    assert len(list((tmp_path / "out/cat").iterdir())) == 4


def _no_access(self, *_, **__):
    raise PermissionError(13, "Permission denied", str(self))
