"""Runs by another protocol than the thesis's are marked in its tables and never mixed with those by its own."""

from dataclasses import replace

import pytest
from matplotlib import pyplot

from inference.report.pictures import capacity_figure
from inference.report.protocol import Footnotes, departures
from inference.report.runs import read_runs
from inference.report.thesis import thesis_tables
from inference.scoring.davis import GLOBAL_COLUMNS
from tests.test_report import VAL_2017, fake

SCORES = dict.fromkeys(GLOBAL_COLUMNS, 0.9)
PROTOCOL = {"precision": "fp32", "decode": "full", "objects_at_once": None, "compile": False, "short_side": 0,
            "flip": False, "scales": [1.0]}
YOUTUBE = PROTOCOL | {"command": "eval_youtube", "short_side": 480, "all_frames_root": "valid_all_frames"}


def davis(folder, **settings):
    return fake(folder, VAL_2017, SCORES, **PROTOCOL | settings)


@pytest.mark.parametrize(("settings", "words"), [
    (PROTOCOL, ()), (PROTOCOL | {"short_side": 480}, ()), ({}, ()), (YOUTUBE, ()), ({"command": "eval_youtube"}, ()),
    (PROTOCOL | {"compile": True, "objects_at_once": 2, "tune": "off"}, ()),
    (PROTOCOL | {"precision": "bf16"}, ("precision bf16",)),
    (PROTOCOL | {"precision": "tf32", "decode": "window"}, ("precision tf32", "decode window")),
    (PROTOCOL | {"short_side": 240}, ("short side 240",)),
    (YOUTUBE | {"short_side": 0}, ("frames at native size",)),
    (YOUTUBE | {"short_side": 720, "precision": "fp16"}, ("precision fp16", "short side 720")),
    (YOUTUBE | {"command": "ablate", "youtube_root": "valid", "short_side": 240}, ("short side 240",)),
    (YOUTUBE | {"all_frames_root": None}, ("without the frames between the annotated ones (--all-frames-root)",)),
])
def test_departures_in_words(settings, words, tmp_path):
    (run,) = read_runs([fake(tmp_path / "run", ["dog"], SCORES, memory="lfu")])
    year = None if "command" in settings else 2017
    assert departures(replace(run, settings=run.settings | settings, year=year)) == words


def test_marked_runs_come_last_each_with_its_footnote(tmp_path):
    runs = read_runs([
        davis(tmp_path / "fast", memory="every_k", precision="bf16", decode="window"),
        davis(tmp_path / "small", memory="first_and_latest", short_side=240),
        davis(tmp_path / "every5", memory="every_k"),
        davis(tmp_path / "lfu", memory="lfu", precision="bf16", decode="window"),
    ])
    table = next(table for table in thesis_tables(runs) if table.name == "table01")
    assert [row[1] for row in table.rows[::3]] == [
        "every-5 (every5)", "every-5 (fast) [1]", "first-and-latest [2]", "LFU, 2 frames [1]"]
    assert table.notes == ("[1] Not the thesis's protocol: precision bf16, decode window.",
                           "[2] Not the thesis's protocol: short side 240.")
    assert [row[1] for row in table.rows[:3]] == ["every-5 (every5)"] * 3
    speeds = next(table for table in thesis_tables(runs) if table.name == "table03")
    assert [row[1] for row in speeds.rows[::3]] == [row[1] for row in table.rows[::3]]
    assert "[1] Not the thesis's protocol: precision bf16, decode window." in speeds.markdown()


def test_tables_per_object_are_marked_too(tmp_path):
    folder = davis(tmp_path / "lfu", memory="lfu", decode="window")
    (folder / "per-sequence_results-val.csv").write_text("Sequence,J-Mean,F-Mean\nblackswan_1,0.9,0.9\n")
    (table,) = [table for table in thesis_tables(read_runs([folder])) if table.name == "table07-lfu"]
    assert table.title == "Table 7: DAVIS 2017 per object, LFU, 2 frames [1]"
    assert table.notes[0] == "[1] Not the thesis's protocol: decode window."


def test_a_run_by_the_protocol_has_no_footnote(tmp_path):
    footnotes, (run,) = Footnotes(), read_runs([davis(tmp_path / "lfu", memory="lfu")])
    assert (footnotes.title(run), footnotes.notes) == ("LFU, 2 frames", ())


def test_the_figure_has_a_line_per_protocol(tmp_path, monkeypatch):
    labels = []
    monkeypatch.setattr(pyplot, "close", lambda figure: labels.append([
        line.get_label() for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 2]))
    plain = [davis(tmp_path / f"lfu{frames}", memory="lfu", memory_frames=frames) for frames in (1, 2)]
    fast = [davis(tmp_path / f"fast{frames}", memory="lfu", memory_frames=frames, precision="bf16")
            for frames in (1, 2)]
    for folders in ([*plain, *fast], plain, fast):
        assert capacity_figure(read_runs(folders), tmp_path / "figure.png")
    assert labels == [["LFU", "LFU, precision bf16"], ["LFU"], ["LFU"]]
