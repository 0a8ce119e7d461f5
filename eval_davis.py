"""Segment DAVIS 2016 or 2017 and score the masks.

    python eval_davis.py --davis-root DAVIS --year 2017 --weights stcn.pth --memory lfu --output runs/lfu2

Writes OUTPUT/<sequence>/00000.png (indexed, DAVIS palette), run.json (settings, versions, FPS, entries held) and the
official toolkit's two CSVs. To resume a stopped run, run the same command again. Several processes share the sequences:
torchrun --nproc-per-node 2 eval_davis.py ...
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from dataset.davis import has_full_ground_truth
from dataset.folder import FolderSequence
from inference.commands import LESS_MEMORY, command
from inference.data_options import DavisOptions
from inference.evaluation import RunOptions, make_segmenter, run_folder
from inference.memory import MemoryOptions
from inference.options import Options, option
from inference.run.folder import RunFolder
from inference.run.record import describe, write_json
from inference.run.runner import run_sequences
from inference.runtime import RuntimeOptions, load_for
from inference.scoring.davis import format_table, global_statistics, score_results, write_csvs
from inference.views import ViewOptions
from model.processes import Processes
from scripts.arguments import CommandParser, Parsed


@dataclass(frozen=True)
class LabelOptions(Options):
    """What the values of the written masks are."""

    labels: Literal["numbers", "archive"] = option(
        "numbers", "numbers: the objects'; archive: as in the archive of the year, which for 2016 is 255 in gray PNGs")


@command(less=LESS_MEMORY)
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    data, run, runtime = options[DavisOptions], options[RunOptions], options[RuntimeOptions].resolved()
    views, memory = options[ViewOptions], options[MemoryOptions]
    sequences, processes = data.read(), Processes.of_evaluation()
    folder = folder_of(options, runtime, processes.count)
    segmenter = make_segmenter(load_for(runtime, run.weights), runtime, views, memory)
    record = run_sequences(sequences, segmenter, folder, processes, run.overwrite)
    if not processes.first:
        return
    if run.no_score:
        pass
    elif all(map(has_full_ground_truth, sequences)):
        score(sequences, record, folder, data)
    else:
        print("not scored: the annotations stop after the first frame")
    print(describe(record["totals"]))


def folder_of(options: Parsed, runtime: RuntimeOptions, processes: int = 1) -> RunFolder:
    """The folder of the run that the options describe, with its settings. runtime: resolved."""
    data, labels = options[DavisOptions], options[LabelOptions]
    groups = [options[ViewOptions], options[MemoryOptions], data, labels]
    folder = run_folder("eval_davis", options[RunOptions], runtime, groups, processes=processes)
    return replace(folder, black_and_white=data.year == 2016 and labels.labels == "archive")


def score(sequences: list[FolderSequence], record: dict[str, Any], folder: RunFolder, data: DavisOptions) -> None:
    """Score the result folder, print the table, write the CSVs and add the scores to run.json."""
    scores = score_results({s.name: s.ground_truth for s in sequences}, folder.output, data.year == 2016)
    print(format_table(scores))
    for note in (note for scored in scores for note in scored.notes):
        print(f"note: {note}")
    write_csvs(folder.output, data.split, scores)
    record["scores"] = global_statistics(scores)
    record["scores_per_sequence"] = {scored.sequence: global_statistics([scored]) for scored in scores}
    write_json(folder.file, record)


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    for kind in (DavisOptions, LabelOptions, RunOptions, RuntimeOptions, ViewOptions):
        parser.add_options(kind)
    parser.add_options(MemoryOptions, title="memory bank")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
