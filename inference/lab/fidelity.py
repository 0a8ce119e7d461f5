"""Does a replay hold what an evaluation held? Entry by entry, from the telemetry of the evaluation.

A replay differs from an evaluation in two ways: keys are stored in half precision, which decides near-ties, and quality
is that of the masks of the unbounded bank (docs/MEMORY.md).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from dataset.errors import DatasetError
from inference.lab.keys import KeyFolder, VideoKeys
from inference.lab.replay import LabOptions, Replay
from inference.memory import MemoryBank, MemoryOptions, make_bank
from inference.report.runs import Run
from inference.report.tables import Table, percent
from inference.run.record import refuse_other_settings
from inference.telemetry.moments import Moment, SequenceTelemetry, read_telemetry


@dataclass(frozen=True)
class Fidelity:
    """One run and one video: shares in [0, 1], means over the writes."""

    entries: float       # entries that both held, divided by those that either held
    frames: float        # the same for the memory frames that these entries come from


def compare(video: VideoKeys, options: MemoryOptions, recorded: SequenceTelemetry) -> Fidelity:
    """Replay a bank over the keys, and compare it with the evaluation after each recorded write but the first.

    Raises DatasetError if the evaluation saw frames of another size or number.
    """
    found, expected = (len(recorded.lines), *recorded.grid), (len(video), *video.keys.shape[2:])
    if found != expected:
        raise DatasetError(f"{video.name}: expected telemetry of {expected[0]} frames with {expected[1]} x "
                           f"{expected[2]} cells, as the keys have, found {found[0]} with {found[1]} x {found[2]}; "
                           "give runs over the same frames, with the --short-side of the keys")
    moments = {moment.frame: moment for moment in recorded.moments[1:]}
    replay = Replay(video, LabOptions((), (), options))
    bank = replay.add("replayed", make_bank(options))
    shares: list[tuple[float, float]] = []
    frame = iter(range(len(video)))

    def observe() -> None:
        moment = moments.get(next(frame))
        if moment is not None:
            shares.append(in_common(moment, bank))

    replay.tick = observe
    replay.run()
    return Fidelity(*np.mean(shares or [(1.0, 1.0)], axis=0).tolist())


def in_common(moment: Moment, bank: MemoryBank) -> tuple[float, float]:
    """Entries, and their memory frames, that an evaluation at a moment and `bank` both hold, divided by all of them."""
    assert bank.entries is not None, "the first frame is held"
    recorded = set(zip(moment.survivors["written"].tolist(), moment.survivors["cell"].tolist(), strict=True))
    written, cell = bank.entries.sources
    replayed = set(zip(written.tolist(), cell.tolist(), strict=True))
    frames = [{frame for frame, _ in held} for held in (recorded, replayed)]
    return len(recorded & replayed) / len(recorded | replayed), len(frames[0] & frames[1]) / len(frames[0] | frames[1])


def fidelity_table(keys: KeyFolder, runs: list[Run], tick: Callable[[], object] = lambda: None) -> Table:
    """A row per run: mean and lowest over its videos, in per cent. `tick` is called after each video of each run.

    Raises RunError for a run with other weights or frames, and DatasetError for one without telemetry, or of videos
    without keys.
    """
    rows = []
    for run in runs:
        videos = keys.chosen(run.sequences)
        _refuse_other_frames(run, keys)
        options = MemoryOptions(**{each.name: run.settings[each.name] for each in fields(MemoryOptions)})
        found = {}
        for name in videos:
            found[name] = compare(keys.load(name), options, read_telemetry(run.folder / "telemetry", name))
            tick()
        lowest = min(found, key=lambda name: found[name].entries)
        mean = np.mean([(each.entries, each.frames) for each in found.values()], axis=0).tolist()
        rows.append([run.title, percent(mean[0]), percent(mean[1]), percent(found[lowest].entries), lowest])
    return Table("fidelity", ["memory bank", "same entries", "same frames", "lowest", "in"], rows)


def _refuse_other_frames(run: Run, keys: KeyFolder) -> None:
    wanted = {"weights_sha256": keys.settings["weights_sha256"], "short_side": keys.settings.get("short_side", 0),
              "flip": False, "scales": [1.0]}
    found = {name: run.settings.get(name) for name in wanted}
    refuse_other_settings(run.folder / "run.json", found, wanted, "evaluate as the keys were made, or make other keys")
