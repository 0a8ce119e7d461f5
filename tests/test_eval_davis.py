"""eval_davis.py: from a DAVIS folder to masks, records and scores; golden masks; restarts; plain errors."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import eval_davis
from dataset.masks import PALETTE, read_labels, write_image, write_labels
from dataset.synthetic import make_davis
from model.storage import save_file
from scripts import score_results


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"train": 1, "val": 2}, frames=7, size=(48, 70), progress=False)
    return root


def evaluate(root, weights, output, *more):
    eval_davis.main([
        "--davis-root", str(root), "--weights", str(weights), "--output", str(output), "--device", "cpu",
        "--memory-every", "2", "--top-k", "5", *more,
    ])
    return json.loads((output / "run.json").read_text())


@pytest.mark.parametrize("frames", [pytest.param(4, id="quick"), pytest.param(12, id="whole", marks=pytest.mark.slow)])
def test_golden_masks_come_out_of_the_command(frames, shared, seeded_state, tmp_path):
    golden = np.load(shared / "golden/propagate_lfu.npz")
    for index, frame in enumerate(golden["frames"][:frames]):
        path = tmp_path / "DAVIS/JPEGImages/480p/golden" / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, frame)
        path.rename(path.with_suffix(".jpg"))          # opened by content: lossless under a JPEG's name
    (tmp_path / "DAVIS/Annotations/480p/golden").mkdir(parents=True)
    write_labels(tmp_path / "DAVIS/Annotations/480p/golden/00000.png", golden["first_mask"])
    (tmp_path / "DAVIS/ImageSets/2017").mkdir(parents=True)
    (tmp_path / "DAVIS/ImageSets/2017/val.txt").write_text("golden\n")
    save_file(tmp_path / "stcn.pth", seeded_state("multi"))

    eval_davis.main([
        "--davis-root", str(tmp_path / "DAVIS"), "--weights", str(tmp_path / "stcn.pth"), "--output",
        str(tmp_path / "out"), "--memory", "lfu", "--memory-frames", "2", "--memory-every", "2", "--device", "cpu",
    ])
    for index in range(1, frames):
        labels = read_labels(tmp_path / "out/golden" / f"{index:05d}.png")
        assert (labels == golden["mask"][index]).mean() >= 0.999
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["sequences"]["golden"]["frames_held_mean"] == pytest.approx(golden["frames_held"][:frames].mean())
    assert "scores" not in run                         # the annotations stop after the first frame


def test_a_run_folder_holds_masks_record_and_official_csvs(root, weights, tmp_path, capsys):
    run = evaluate(root, weights, tmp_path / "out", "--overlays")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".records", "clip-001", "clip-002", "global_results-val.csv", "overlays", "per-sequence_results-val.csv",
        "run.json",
    ]
    assert len(list((tmp_path / "out/overlays/clip-001").glob("*.jpg"))) == 7
    mask = tmp_path / "out/clip-001/00003.png"
    with Image.open(mask) as image:
        assert image.mode == "P"
        assert image.size == (70, 48)
        assert np.array_equal(np.array(image.getpalette()).reshape(-1, 3)[:9], PALETTE[:9])
    assert run["settings"]["memory"] == "lfu"
    assert run["totals"]["frames"] == 14
    assert run["totals"]["frames_held_peak"] == 2
    assert "J&F" in capsys.readouterr().out

    score_results.main(["--annotations", str(root / "Annotations/480p"), "--results", str(tmp_path / "out"),
                        "--json", str(tmp_path / "scores.json")])
    assert json.loads((tmp_path / "scores.json").read_text())["global"] == run["scores"]


@pytest.mark.slow
def test_a_stopped_run_resumes_and_ends_with_the_same_bytes(root, weights, tmp_path):
    whole = evaluate(root, weights, tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inference.run.writer.SequenceWriter.write", _interrupted_after(10))
        with pytest.raises(SystemExit, match="130"):
            evaluate(root, weights, tmp_path / "parts")
    left = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert left == [".records", "clip-001", "run.json"]         # nothing half-written
    kept = (tmp_path / "parts/clip-001/00001.png").stat().st_mtime_ns
    parts = evaluate(root, weights, tmp_path / "parts")
    assert (tmp_path / "parts/clip-001/00001.png").stat().st_mtime_ns == kept
    assert parts["scores"] == whole["scores"]
    for path in (tmp_path / "whole").glob("*/*.png"):
        assert path.read_bytes() == (tmp_path / "parts" / path.relative_to(tmp_path / "whole")).read_bytes()


@pytest.mark.slow
def test_a_run_with_other_settings_is_refused_unless_overwritten(root, weights, tmp_path, capsys):
    evaluate(root, weights, tmp_path / "out")
    with pytest.raises(SystemExit, match="2"):
        evaluate(root, weights, tmp_path / "out", "--memory-frames", "3")
    assert "run.json: expected memory_frames=3 as in this command, found 2" in capsys.readouterr().err
    assert evaluate(root, weights, tmp_path / "out", "--memory-frames", "3", "--overwrite")


def test_nothing_that_no_run_wrote_is_ever_replaced(root, weights, tmp_path, capsys):
    shutil.copytree(root, tmp_path / "DAVIS")
    frames = tmp_path / "DAVIS/JPEGImages/480p"
    before = {path: path.read_bytes() for path in frames.glob("*/*")}
    for more in ((), ("--overwrite",)):
        with pytest.raises(SystemExit, match="2"):
            evaluate(tmp_path / "DAVIS", weights, frames, *more)
        assert "found one that no run recorded" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in frames.glob("*/*")} == before


def test_scores_of_another_selection_do_not_stay(root, weights, tmp_path):
    assert "scores" in evaluate(root, weights, tmp_path / "out", "--sequences", "clip-001")
    run = evaluate(root, weights, tmp_path / "out", "--no-score")
    assert run["totals"]["frames"] == 14
    assert "scores" not in run


def test_flags_may_come_from_a_yaml_and_the_command_line_wins(root, weights, tmp_path, capsys):
    (tmp_path / "eval.yaml").write_text("memory: first_and_latest\nindex: softmax\n")
    run = evaluate(root, weights, tmp_path / "out", "--config", str(tmp_path / "eval.yaml"), "--index", "topk")
    assert run["settings"]["memory"] == "first_and_latest"
    assert run["settings"]["index"] == "topk"
    for text, words in (
        ("memori: lfu\n", "unknown key 'memori'"), ("[1, 2]", "expected keys and values"),
        ("memory-frames: 2.5", "memory_frames: expected int, found 2.5"),
        ("memory: lifo", "eval.yaml.memory: expected one of"),
    ):
        (tmp_path / "eval.yaml").write_text(text)
        with pytest.raises(SystemExit, match="2"):
            evaluate(root, weights, tmp_path / "out", "--config", str(tmp_path / "eval.yaml"))
        assert words in capsys.readouterr().err


def _remove(path):
    def damage(root):
        target = root / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    return damage


def _truncate(path):
    return lambda root: (root / path).write_bytes((root / path).read_bytes()[:300])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_remove("."), "expected the DAVIS folder"),
        (_remove("JPEGImages"), "JPEGImages/480p: expected"),
        (_remove("ImageSets/2017/val.txt"), "val.txt: expected the list of split val"),
        (_remove("Annotations/480p/clip-001/00000.png"), "00000.png: expected the annotation of the first frame"),
        (_truncate("JPEGImages/480p/clip-001/00002.jpg"), "00002.jpg: expected a readable image"),
        (_truncate("Annotations/480p/clip-001/00000.png"), "00000.png: expected a readable image"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(root, weights, tmp_path, capsys, damage, words):
    shutil.copytree(root, tmp_path / "DAVIS")
    damage(tmp_path / "DAVIS")
    with pytest.raises(SystemExit, match="2"):
        evaluate(tmp_path / "DAVIS", weights, tmp_path / "out")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error
    assert not list((tmp_path / "out").glob("*/*.png"))


def test_missing_weights_and_impossible_banks_are_plain_errors(root, weights, tmp_path, capsys):
    for arguments, words in (
        (("--weights", "nowhere.pth"), "nowhere.pth"),
        (("--memory-frames", "1", "--include-last"), "memory_frames 1: expected at least 2"),
        (("--memory-every", "0"), "memory_every 0: expected at least 1"),
        (("--sequences", "clip-01"), "did you mean clip-001"),
        (("--device", "cuda:99"), "use --device cpu"),
    ):
        with pytest.raises(SystemExit, match="2"):
            evaluate(root, weights, tmp_path / "out", *arguments)
        assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def _interrupted_after(frames):
    from inference.run.writer import SequenceWriter

    original, written = SequenceWriter.write, []

    def write(self, frame, labels):
        written.append(frame)
        if len(written) > frames:
            raise KeyboardInterrupt
        original(self, frame, labels)

    return write


@pytest.mark.parametrize(("year", "mode", "values"), [("2016", "L", [0, 255]), ("2017", "P", [0, 1, 2])])
def test_masks_have_the_values_of_the_archive_of_the_year(year, mode, values, root, weights, tmp_path):
    (root / "ImageSets/2016").mkdir(exist_ok=True)
    shutil.copyfile(root / "ImageSets/2017/val.txt", root / "ImageSets/2016/val.txt")
    more = ("--year", year, "--sequences", "clip-001", "--short-side", "32")
    archive = evaluate(root, weights, tmp_path / "archive", "--labels", "archive", *more)
    numbers = evaluate(root, weights, tmp_path / "numbers", *more)
    for name in ("00000.png", "00004.png"):
        path = tmp_path / "archive/clip-001" / name
        found, expected = read_labels(path), read_labels(tmp_path / "numbers/clip-001" / name)
        assert set(np.unique(found)) <= set(values)
        assert np.array_equal(found, expected * 255 if year == "2016" else expected)
        with Image.open(path) as image:
            assert image.mode == mode
    assert np.unique(read_labels(tmp_path / "archive/clip-001/00000.png")).tolist() == values
    assert archive["scores"] == numbers["scores"]
    assert archive["settings"]["labels"] == "archive"
