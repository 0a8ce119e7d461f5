"""scripts/report.py --server-scores: the scores of the YouTube-VOS server in tables and in figure 11."""

import json
import re

import pytest

from dataset.errors import DatasetError
from inference.report.runs import read_runs
from inference.report.server_scores import read_server_scores, with_server_scores
from inference.report.thesis import thesis_tables
from scripts.report import main
from tests.test_report import fake

HEADER = "run,overall,j_seen,f_seen,j_unseen,f_unseen\n"
VIDEOS = [f"{index:010x}" for index in range(507)]
LFU = {"J&F": 0.811, "J-seen": 0.802, "F-seen": 0.844, "J-unseen": 0.759, "F-unseen": 0.839}


def write(folder, *lines, header=HEADER):
    path = folder / "scores.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return path


def youtube(folder, **settings):
    return fake(folder, VIDEOS, {}, command="eval_youtube", **settings)


def test_both_units_give_the_same_scores(tmp_path):
    assert read_server_scores(write(tmp_path, "lfu2,0.811,0.802,0.844,0.759,0.839")) == {"lfu2": LFU}
    per_cent = read_server_scores(write(tmp_path, "", "lfu2, 81.1 ,80.2,84.4,75.9,83.9", "bad,3,12,0,0,0"))
    assert per_cent["lfu2"] == pytest.approx(LFU)
    assert per_cent["bad"]["J-seen"] == 0.12


def test_columns_may_have_any_order_and_company(tmp_path):
    path = write(tmp_path, "0.839,0.759,lfu2,0.844,0.802,0.811,1 May",
                 header="\ufefff_unseen,j_unseen,run,f_seen,j_seen,overall,date\n")
    assert read_server_scores(path) == {"lfu2": LFU}


@pytest.mark.parametrize(("lines", "message"), [
    (["lfu2,0.8,0.8,0.8,x,0.8"], r"scores.csv, line 2: j_unseen: expected numbers from 0 to 1, or per cent from 0 to "
                                 r"100, found x; copy"),
    (["lfu2,0.8,0.8,0.8"], "line 2: j_unseen: expected numbers .* found nothing"),
    (["lfu2,0.8,nan,0.8,0.8,0.8"], "line 2: j_seen: .* found nan"),
    (["a,80,80,80,80,80", "b,80,-1,80,80,80"], "line 3: j_seen: .* found -1"),
    (["lfu2,811,80,84,76,84"], "line 2: overall: .* found 811"),
    (["a,81.1,80,84,76,84", "b,81,0.802,84,76,84"], "expected one unit in the whole file, .*, found 0.802 and 84"),
    (["a,0,0,0,0,0", "a,0,0,0,0,0"], "line 3: expected the name of a run, each once, found 'a' again"),
    ([",0,0,0,0,0"], "line 2: expected the name of a run, each once, found ''"),
    ([], "expected a line of scores per run, found none"),
])
def test_what_is_no_table_of_scores_is_refused(lines, message, tmp_path):
    with pytest.raises(DatasetError, match=message):
        read_server_scores(write(tmp_path, *lines))


@pytest.mark.parametrize(("content", "message"), [
    (b"run,overall,J seen\na,1,1\n", "found no j_seen, f_seen, j_unseen, f_unseen in run,overall,J seen;"),
    (b"", "found no run, overall, .* in an empty file"), (b"\xff\xfe\x00", "expected a CSV file of scores in UTF-8"),
])
def test_missing_columns_are_named(content, message, tmp_path):
    (tmp_path / "scores.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_server_scores(tmp_path / "scores.csv")


def test_an_overall_score_that_is_not_the_mean_is_a_warning(tmp_path):
    with pytest.warns(UserWarning, match=r"run swapped: expected overall to be the mean of the other four, 0\.8110, "
                                         r"found 0\.8200"):
        read_server_scores(write(tmp_path, "swapped,0.82,0.802,0.844,0.759,0.839"))


def test_scores_reach_the_tables_of_the_thesis_and_the_figure(tmp_path, capsys):
    folders = [youtube(tmp_path / "lfu2", memory="lfu"), youtube(tmp_path / "lfu4", memory="lfu", memory_frames=4),
               youtube(tmp_path / "soft", memory="lfu", index="softmax")]
    path = write(tmp_path, "lfu2,0.811,0.802,0.844,0.759,0.839", f"{folders[1]},0.83,0.83,0.83,0.83,0.83")
    main([*map(str, folders), "--server-scores", str(path), "--output", str(tmp_path / "page.md")])
    assert "warning" not in capsys.readouterr().err
    runs = with_server_scores(read_runs(folders), path)
    assert [run.scores for run in runs] == [LFU, dict.fromkeys(LFU, 0.83), {}]
    table = next(table for table in thesis_tables(runs) if table.name == "table02")
    assert table.header[3:] == ["J&F", "J-seen", "J-unseen", "F-seen", "F-unseen"]
    assert [row[1:] for row in table.rows] == [
        ["LFU, 2 frames", "measured", "81.1", "80.2", "75.9", "84.4", "83.9"],
        ["LFU, 2 frames", "thesis", "81.1", "80.3", "76.1", "84.3", "83.8"],
        ["LFU, 2 frames", "difference", "+0.0", "-0.1", "-0.2", "+0.1", "+0.1"],
    ]
    page = (tmp_path / "page.md").read_text()
    assert f"Scores from `{path}`: LFU, 2 frames; LFU, 4 frames." in page
    assert "page-capacity.png" in page
    assert str(path) in (tmp_path / "page.html").read_text()


def test_names_of_no_run_that_can_have_them_are_refused(tmp_path):
    scored = fake(tmp_path / "scored", VIDEOS, {"J&F": 0.5}, command="eval_youtube", memory="fifo")
    davis = fake(tmp_path / "davis", ["dog"], {"J&F-Mean": 0.5} | dict.fromkeys(
        ("J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay"), 0.5), memory="lfu")
    same = [youtube(tmp_path / parent / "lfu2", memory="lfu", memory_frames=frames)
            for parent, frames in (("a", 2), ("b", 3))]
    runs = read_runs([scored, davis, *same])
    for name, message in (
        ("lfu9", r"run lfu9: expected the name of one run of .* \(scored, davis, a-lfu2, b-lfu2\), found none"),
        ("lfu2", r"run lfu2: expected the name of one run .*, found 2;"),
        ("scored", "expected a run of YouTube-VOS without scores, found one that was scored against ground truth"),
        ("davis", "expected a run of YouTube-VOS without scores, found a run of DAVIS 2017 val"),
    ):
        with pytest.raises(DatasetError, match=message):
            with_server_scores(runs, write(tmp_path, f"{name},0.8,0.8,0.8,0.8,0.8"))
    twice = write(tmp_path, "a-lfu2,0.8,0.8,0.8,0.8,0.8", f"{same[0]},0.8,0.8,0.8,0.8,0.8")
    with pytest.raises(DatasetError, match=f"found a-lfu2 and {re.escape(str(same[0]))}, which are the same run"):
        with_server_scores(runs, twice)


def test_settings_of_an_ablation_are_named_by_their_folders(tmp_path):
    content = json.loads((youtube(tmp_path / "run", memory="lfu") / "run.json").read_text())
    shared = {key: value for key, value in content["settings"].items() if key not in ("memory", "memory_frames")}
    results = {
        f"lfu{frames}": {"memory": "lfu", "memory_frames": frames, "scores": {}, "scores_per_sequence": {},
                         "totals": content["totals"]} for frames in (1, 2)
    }
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation/run.json").write_text(json.dumps({
        "settings": shared | {"command": "ablate", "youtube_root": "valid"}, "sequences": VIDEOS, "results": results,
    }))
    runs = with_server_scores(read_runs([tmp_path / "ablation"]), write(tmp_path, "lfu2,0.811,0.802,0.844,0.759,0.839"))
    assert [(run.data, run.title, run.scores) for run in runs] == [
        ("YouTube-VOS valid", "LFU, 1 frame", {}), ("YouTube-VOS valid", "LFU, 2 frames", LFU)]
    (table,) = [table for table in thesis_tables(runs) if table.name == "table02"]
    assert table.rows[0][3] == "81.1"
