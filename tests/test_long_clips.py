"""Long synthetic clips: what happens in them, the data set that is written, their scores and their report."""

import csv
import json
from itertools import pairwise

import numpy as np
import pytest

from dataset.davis import davis_sequences
from dataset.errors import DatasetError
from dataset.masks import read_labels
from dataset.synthetic import make_long
from dataset.synthetic_events import Event, EventLog, read_events
from dataset.synthetic_long import LongClip
from inference.scoring.long_clips import LongScores, binned, long_columns
from scripts import ablate, make_synthetic, score_long

SIZE, LENGTH = (60, 108), 240


@pytest.fixture(scope="module")
def clip():
    return LongClip(5, SIZE, LENGTH, objects=2)


@pytest.fixture(scope="module")
def labels(clip):
    return np.stack([clip.frame(t)[1] for t in range(LENGTH)])


# The clips


def test_a_frame_depends_on_seed_and_number_alone(clip):
    other = LongClip(5, SIZE, LENGTH, objects=2)
    assert other.events == clip.events
    for t in (200, 0, 31):
        for ours, theirs in zip(clip.frame(t), other.frame(t), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert LongClip(6, SIZE, LENGTH, objects=2).events != clip.events


def test_every_kind_of_event_happens_and_those_of_an_object_follow_one_another(clip, labels):
    assert {event.kind for event in clip.events} == {"leave", "hide", "look-alike", "background"}
    assert set(np.unique(labels)) == {0, 1, 2}
    assert {1, 2} <= set(np.unique(labels[0]))
    for number in (0, 1, 2):
        events = [event for event in clip.events if event.object == number]
        assert all(0 < event.start < event.end <= LENGTH for event in events)
        assert all(first.end < second.start for first, second in pairwise(events))


def test_an_object_that_leaves_is_gone_and_returns_changed(clip, labels):
    leaves = [event for event in clip.events if event.kind == "leave"]
    assert leaves
    for event in leaves:
        away = labels[event.start + clip.ramp:event.end - clip.ramp]
        assert not (away == event.object).any()
        target = next(actor for actor in clip._bodies if actor.number == event.object)
        before, after = target.look(event.start), target.look(event.end)
        assert before.turn != after.turn
        assert before.log_scale != after.log_scale
        assert before.light != after.light


def test_what_hides_an_object_covers_most_of_it(clip, labels):
    hidden = []
    for event in (event for event in clip.events if event.kind == "hide"):
        inside = labels[event.start + clip.ramp:event.end - clip.ramp] == event.object
        hidden.append(inside.sum() / (len(inside) * (labels[event.start] == event.object).sum()))
    assert np.mean(hidden) < 0.2


def test_the_scene_changes_for_good(clip):
    first, second = (event.start for event in clip.events if event.kind == "background")
    frames = [clip._scene.behind(t).astype(int) for t in (first - 1, first + 8, second - 1, second + 8)]
    near = [np.abs(frames[a] - frames[b]).mean() for a, b in ((0, 1), (2, 3))]
    assert min(near) > 2 * np.abs(clip._scene.behind(first - 1).astype(int) - clip._scene.behind(first - 9)).mean()


def test_a_clip_of_thousands_of_frames_keeps_none_of_them():
    long = LongClip(1, (48, 80), 5000, objects=1)
    assert len(long) == 5000
    assert max(event.end for event in long.events) > 4500
    assert long.frame(4999)[0].shape == (48, 80, 3)


# The data set


def test_the_data_set_reads_as_davis_with_the_events_beside_it(tmp_path):
    make_long(tmp_path, clips=1, frames=120, size=(48, 80), objects=2, progress=False)
    (sequence,) = davis_sequences(tmp_path, 2017, "val")
    assert len(sequence) == len(sequence.ground_truth) == 120
    log = read_events(tmp_path, sequence.name)
    assert log.length == 120
    truths = np.stack([read_labels(path) for path in sequence.ground_truth.values()])
    for number in (1, 2):
        pixels = (truths == number).sum((1, 2))
        np.testing.assert_array_equal(log.is_shown(number), pixels >= 48 * 80 / 4000)


def test_the_command_writes_long_clips_and_damaged_events_are_refused(tmp_path, capsys):
    make_synthetic.main(["--output", str(tmp_path), "--kind", "long", "--videos", "1", "--frames", "60", "--size", "48",
                         "80"])
    (name,) = (tmp_path / "Long/ImageSets/2017/val.txt").read_text().split()
    assert "wrote" in capsys.readouterr().out
    (tmp_path / f"Long/Events/{name}.json").write_text("[]")
    with pytest.raises(DatasetError, match="expected the events of a clip, found something else"):
        read_events(tmp_path / "Long", name)
    with pytest.raises(DatasetError, match="found no such file"):
        read_events(tmp_path, name)


# The scores


def log_of(shown, events=()):
    return EventLog(12, list(events), {number: runs for number, runs in shown.items()})


def test_returns_absences_and_events():
    # object 1 is gone in frames 2 to 3; object 2 is always seen; frames 0 and 11 are not scored
    log = log_of({1: [[0, 2], [4, 12]], 2: [[0, 12]]}, [Event("hide", 1, 2, 4), Event("background", 0, 6, 7)])
    assert [(each.start, each.gone, each.end) for each in log.returns()] == [(4, 2, 12)]
    assert list(log.returns(3)) == []
    one = [0.9, 1.0, 0.0, 0.2, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6]                        # frames 1 to 10
    scores = LongScores(log, {1: (one, one), 2: ([0.5] * 10, [0.7] * 10)})
    assert scores.while_gone() == [1.0, 0.0]                                        # right in one of two frames
    assert scores.around("hide") == [pytest.approx((0.2 + 0.4 + 5 * 0.6 + 0) / 7)]  # frames 4 to 10
    assert scores.around("background") == [pytest.approx(0.6), pytest.approx(0.6)]
    assert scores.around("leave") == []
    overall = long_columns([scores])
    assert overall["J&F"] == pytest.approx((sum(one) / 10 + 0.6) / 2)
    assert overall["while gone"] == 0.5
    assert np.isnan(overall["after a return"])                                      # gone for 2 frames only
    both = [(a + 0.6) / 2 for a in one]
    np.testing.assert_allclose(scores.over_time(4), [np.mean(both[:4]), np.mean(both[4:8]), np.mean(both[8:])])


def test_a_return_counts_until_the_object_is_gone_again():
    log = EventLog(40, [], {1: [[0, 5], [16, 20], [35, 40]]})
    values = np.arange(38) / 100                                                    # of frames 1 to 38
    (first, second) = LongScores(log, {1: (values.tolist(), values.tolist())}).returns()
    assert (first.start, first.gone, first.score) == (16, 11, pytest.approx(np.mean(values[15:19])))
    assert (second.start, second.gone, second.score) == (35, 15, pytest.approx(np.mean(values[34:38])))


def test_bins_of_a_rest():
    np.testing.assert_allclose(binned(np.array([1.0, 3.0, np.nan, 5.0, 7.0]), 2), [2, 5, 7])


@pytest.mark.slow
def test_an_ablation_over_long_clips_becomes_a_report(weights, tmp_path, capsys, refused):
    make_long(tmp_path / "Long", clips=1, frames=60, size=(48, 80), objects=1, progress=False)
    ablate.main(["--davis-root", str(tmp_path / "Long"), "--weights", str(weights), "--device", "cpu", "--memory",
                 "every_k", "lfu", "--memory-frames", "2", "--output", str(tmp_path / "run")])
    arguments = ["--run", str(tmp_path / "run"), "--clips", str(tmp_path / "Long"), "--output", str(tmp_path / "out")]
    score_long.main(arguments)
    assert "around look-alike" in capsys.readouterr().out
    assert (tmp_path / "out/long.png").stat().st_size > 10000
    rows = list(csv.DictReader((tmp_path / "out/curves.csv").open()))
    held = {name: [float(row["frames held"]) for row in rows if row["setting"] == name]
            for name in dict.fromkeys(row["setting"] for row in rows)}
    growing, bounded = held.values()
    assert growing == sorted(growing)
    assert growing[-1] > 8
    assert bounded[-1] == max(bounded) == 2
    record = tmp_path / "run/.records/long-000.json"
    content = json.loads(record.read_text())
    for cell in content["cells"].values():
        del cell["held"]
    record.write_text(json.dumps(content))
    with refused("run scripts/ablate.py again"):
        score_long.main(arguments)
