"""What the runs of a plan gave, by experiment: numbers, or the reason why there are none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataset.errors import DatasetError
from inference.report.runs import Run, read_runs
from inference.report.server_scores import SOURCE, read_server_scores
from inference.report.thesis import YOUTUBE_VIDEOS, expected_sequences, is_whole
from inference.reproduction.experiments import Experiment, Item, experiments_of
from inference.reproduction.plan import Plan
from inference.reproduction.work import ARCHIVE, Work

UNFINISHED = "not finished yet: run the same command without --page"
UNSCORED = f"not scored: the server has the labels; upload {ARCHIVE} of this run, and give --server-scores"


@dataclass(frozen=True)
class Results:
    """The runs by experiment, and why others have no numbers; a run of YouTube-VOS without scores is in both."""

    runs: dict[Experiment, Run]
    reasons: dict[Experiment, str]

    def of(self, item: Item) -> list[Run]:
        """The runs of a table or figure, in its order."""
        return [self.runs[experiment] for experiment in item.experiments if experiment in self.runs]


@dataclass(frozen=True)
class ServerScores:
    """The scores of runs by the names of their folders, in [0, 1], and the file that they were read from."""

    file: Path | None
    scores: dict[str, dict[str, float]]


def collect(plan: Plan, works: Sequence[Work], server: ServerScores) -> Results:
    """Read the runs that are complete. Raises DatasetError for a damaged record."""
    runs: dict[Experiment, Run] = {}
    reasons = dict(plan.lacking)
    for work in works:
        experiment = work.run.experiment
        if not work.complete:
            reasons[experiment] = UNFINISHED
            continue
        (run,) = read_runs([work.run.folder])
        run = replace(run, title=_title(run, experiment))
        if experiment.name in server.scores and not run.scores:
            run = replace(run, scores=server.scores[experiment.name], about=run.about | {SOURCE: str(server.file)})
        runs[experiment] = run
        if not run.scores:
            reasons[experiment] = UNSCORED
    return Results(runs, reasons)


def scores_of(file: Path | None, items: Iterable[Item]) -> ServerScores:
    """Read the scores that the server gave; none without a file. Raises DatasetError for a run that no item needs."""
    scores = read_server_scores(file) if file else {}
    known = [experiment.name for experiment in experiments_of(items) if experiment.youtube]
    for name in scores:
        if name not in known:
            raise DatasetError(f"{file}: run {name}: expected the folder of a run of YouTube-VOS ({', '.join(known)}), "
                               "found another name; correct it")
    return ServerScores(file, scores)


def other_data(run: Run) -> str | None:
    """How the data of a run differ from the thesis's; None if they are the same."""
    if is_whole(run):
        return None
    if expected := expected_sequences(run.data):
        shared = len(expected & set(run.sequences))
        return f"sequences: {len(run.sequences)}, of which {shared} are among the thesis's {len(expected)}"
    return f"videos: {len(run.sequences)}, which are not the thesis's {YOUTUBE_VIDEOS}"


def _title(run: Run, experiment: Experiment) -> str:
    """The bank in words; the regularizer of the weights before it."""
    role = experiment.how.weights
    return run.title if role == "main" else f"{role}, {run.title}"
