"""Several processes share an ablation: parts that cover it once, and the numbers and masks of one process."""

import csv
import json
from collections import Counter

import pytest

from dataset.synthetic import make_davis
from inference.ablation.parts import parts_of
from inference.ablation.records import (
    Pass,
    SequenceRecord,
    SettingReport,
    collect,
    open_ablation,
    read_sequence,
    write_sequence,
)
from inference.ablation.settings import name_of
from inference.memory import MemoryOptions
from inference.run.folder import RunFolder
from scripts import ablate
from tests.processes import Command

SETTINGS = [MemoryOptions(memory_frames=frames) for frames in (1, 2, 4, 8, 16)]


class Video:
    """As much of a sequence as parts need."""

    def __init__(self, name, frames):
        self.name, self.frames = name, frames

    def __len__(self):
        return self.frames


def shares(videos, count, missing=None):
    """(video, setting) pairs of each process."""
    missing = missing or {video.name: SETTINGS for video in videos}
    return [
        [(part.sequence.name, name_of(setting)) for part in parts_of(videos, missing, rank, count)
         for setting in part.settings] for rank in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("lengths", [[10], [10, 30], [5, 60, 7, 40, 20, 11]])
def test_every_setting_of_every_video_is_run_once(lengths, count):
    videos = [Video(f"clip-{index}", length) for index, length in enumerate(lengths)]
    found = Counter(pair for share in shares(videos, count) for pair in share)
    assert found == Counter((video.name, name_of(setting)) for video in videos for setting in SETTINGS)


def test_settings_are_split_only_if_there_are_fewer_videos_than_processes():
    videos = [Video("a", 10), Video("b", 10), Video("c", 10)]
    for share in shares(videos, 2) + shares(videos, 3):
        assert set(Counter(name for name, _ in share).values()) == {len(SETTINGS)}
    assert [len(share) for share in shares(videos[:1], 4)] == [2, 1, 1, 1]
    assert all(shares(videos, 8)[rank] for rank in range(6))
    alone = parts_of(videos, {video.name: SETTINGS for video in videos}, 0, 1)
    assert [part.settings for part in alone] == [SETTINGS] * 3


def test_only_what_is_missing_is_shared():
    videos = [Video("a", 10), Video("b", 10)]
    assert sorted(shares(videos, 2, {"a": [], "b": SETTINGS[1:3]})) == [
        [("b", name_of(SETTINGS[1]))], [("b", name_of(SETTINGS[2]))]]
    assert shares(videos, 2, {"a": [], "b": []}) == [[], []]


def test_parts_that_a_stopped_run_left_are_collected(tmp_path):
    folder = RunFolder(tmp_path / "out", {"command": "ablate"}, {})
    open_ablation(folder, SETTINGS, ["clip"], masks=False)
    first, second, third = (record_of(name) for name in ("lfu1", "lfu2", "lfu4"))
    write_sequence(folder, "clip", first)
    write_sequence(folder, "clip", second, rank=1)
    write_sequence(folder, "clip", third, rank=2)
    write_sequence(folder, "other.clip", third, rank=2)
    open_ablation(folder, SETTINGS, ["clip"], masks=False)          # as the next run does, with one process or more
    record = read_sequence(folder, "clip")
    assert list(record.reports) == ["lfu1", "lfu2", "lfu4"]
    assert record.passes == [*first.passes, *second.passes, *third.passes]
    assert list(read_sequence(folder, "other.clip").reports) == ["lfu4"]
    assert sorted(path.name for path in (tmp_path / "out/.records").rglob("*")) == ["clip.json", "other.clip.json"]
    write_sequence(folder, "clip", second, rank=1)                  # stopped between writing and removing
    collect(folder)
    assert read_sequence(folder, "clip") == record


def record_of(name):
    return SequenceRecord([Pass([name], 1.0, 2.0, 4.0)], {name: SettingReport(3, 1.0, 2.0, 1.0, 2.0, 64, False, {})})


@pytest.mark.slow
def test_two_processes_end_with_the_files_of_one(weights, tmp_path):
    make_davis(tmp_path / "DAVIS", sequences={"val": 1}, frames=6, size=(48, 70), progress=False)
    arguments = ["--davis-root", str(tmp_path / "DAVIS"), "--weights", str(weights), "--device", "cpu", "--top-k", "5",
                 "--memory-every", "2", "--memory", "every_k", "lfu", "--memory-frames", "1", "2", "--write-masks"]
    shared = {"MASTER_ADDR": "localhost", "MASTER_PORT": "29523", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [start(arguments, tmp_path / "two", shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    assert [rank.wait()[0] for rank in ranks] == [0, 0]
    ablate.main([*arguments, "--output", str(tmp_path / "one")])
    assert written(tmp_path / "two") == written(tmp_path / "one")
    assert numbers(tmp_path / "two") == numbers(tmp_path / "one")
    (record,) = (tmp_path / "two/.records").iterdir()
    passes = json.loads(record.read_text())["passes"]
    assert sorted(len(done["cells"]) for done in passes) == [1, 2]           # one pass of each process
    bars = [rank.log.read_text().count("frame/s") for rank in ranks]
    assert bars[0] > 0 == bars[1]


def start(arguments, output, torchrun):
    """A rank of several processes, as torchrun starts it."""
    log = output.with_name(f"{output.name} {torchrun['RANK']}.txt")
    return Command("scripts.ablate", [*arguments, "--output", str(output)], log, torchrun)


def written(output):
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*.png")
            if path.name != "speed_over_score.png"} | {
        "files": sorted(str(path.relative_to(output)) for path in output.rglob("*"))}


def numbers(output):
    """All results but the speeds."""
    with open(output / "ablation.csv", newline="") as lines:
        rows = [{column: text for column, text in row.items() if column != "fps"} for row in csv.DictReader(lines)]
    results = json.loads((output / "run.json").read_text())["results"]
    return rows, [(name, result["scores"], result["scores_per_sequence"]) for name, result in results.items()]
