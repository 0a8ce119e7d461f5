"""The runs of a plan: opened, checked against what their folders hold, and done one after another."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dataset.errors import DatasetError
from dataset.folder import FolderSequence
from inference.data_options import DavisOptions, YouTubeOptions
from inference.reproduction.experiments import Experiment
from inference.reproduction.plan import Plan, PlannedRun
from inference.run.folder import RunFolder
from inference.run.record import read_run, refuse_other_settings
from inference.runtime import RuntimeOptions
from model.processes import Processes

ARCHIVE = "submission.zip"                   # of eval_youtube.py --zip


class Evaluation(Protocol):
    """The module of an evaluation command; `parser().parse(arguments)` gives its options by their class."""

    def main(self, arguments: list[str], /) -> None: ...

    def parser(self) -> Any: ...

    def folder_of(self, options: Any, runtime: RuntimeOptions, /) -> RunFolder: ...


@dataclass(frozen=True)
class Work:
    """A planned run with its data and its folder."""

    run: PlannedRun
    evaluation: Evaluation
    options: Any                             # the command's, by their class
    sequences: list[FolderSequence]
    folder: RunFolder

    @property
    def to_do(self) -> list[FolderSequence]:
        """The sequences that the folder does not hold."""
        return [sequence for sequence in self.sequences if not self.folder.finished(sequence.name)]

    @property
    def complete(self) -> bool:
        """Whether the folder holds all masks, their record and what is made of them."""
        if not self.folder.file.is_file() or self.to_do:
            return False
        record = read_run(self.folder.output)
        if set(record.get("sequences", ())) != {sequence.name for sequence in self.sequences}:
            return False
        return (self.folder.output / ARCHIVE).is_file() if self.run.experiment.youtube else "scores" in record


def open_all(
    plan: Plan, evaluations: Mapping[str, Evaluation], runtime: RuntimeOptions
) -> tuple[list[Work], dict[Experiment, str]]:
    """The runs of a plan, in its order, and why others cannot be done: their data set is not in its folder.

    Raises DatasetError if this holds for all runs, RunError for a folder that holds a run with other settings, and
    what reading weights raises.
    """
    read: dict[str, list[FolderSequence] | DatasetError] = {}         # each data set once
    works, unreadable = [], {}
    for run in plan.runs:
        evaluation, data = evaluations[run.experiment.data_set.command], run.experiment.data
        options = evaluation.parser().parse(list(run.arguments))
        if data not in read:
            read[data] = _read(options[YouTubeOptions if run.experiment.youtube else DavisOptions])
        sequences = read[data]
        if isinstance(sequences, DatasetError):
            unreadable[run.experiment] = str(sequences)
            continue
        folder = evaluation.folder_of(options, runtime)
        if folder.file.exists():
            earlier = folder.earlier_settings(f"remove {folder.output}")
            remedy = f"choose another --output, or remove {folder.output}"
            refuse_other_settings(folder.file, earlier, folder.settings, remedy)
        works.append(Work(run, evaluation, options, sequences, folder))
    if not works:
        raise DatasetError(next(iter(unreadable.values())))
    return works, unreadable


def do_all(works: Iterable[Work], processes: Processes) -> None:
    """Do or resume every run that is not complete. Several processes share the sequences of each run.

    Runs with ground truth from elsewhere are scored again, because it may be new.
    """
    unfinished = [work for work in works if not work.complete or "--ground-truth" in work.run.arguments]
    processes.wait()                         # all of them have looked before one begins
    for number, work in enumerate(unfinished, start=1):
        if processes.first:
            print(f"run {number} of {len(unfinished)}: {work.run.experiment.name}", flush=True)
        work.evaluation.main(list(work.run.arguments))


def _read(data: DavisOptions | YouTubeOptions) -> list[FolderSequence] | DatasetError:
    try:
        return list(data.read())
    except DatasetError as error:
        return error
