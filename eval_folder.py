"""Segment LVOS, MOSE, VOST or Long-time Video, and score the masks by the rules of the benchmark.

    python eval_folder.py --benchmark lvos --root LVOS --weights stcn.pth --memory lfu --output runs/lvos
    python eval_folder.py --benchmark mose --root MOSE --weights stcn.pth --memory lfu --output runs/mose --zip

Writes OUTPUT/Annotations/<video>/<frame>.png, run.json and, with --zip, the archive for the server. The masks are
scored if there is ground truth. To resume a stopped run, run the same command again. Several processes share the
videos: torchrun --nproc-per-node 2 eval_folder.py ...
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset.benchmarks import BenchmarkVideo
from inference.commands import LESS_MEMORY, command
from inference.data_options import BenchmarkOptions
from inference.evaluation import RunOptions, make_segmenter, run_folder
from inference.memory import MemoryOptions
from inference.options import Options, option
from inference.run.folder import RunFolder
from inference.run.record import describe, write_json
from inference.run.runner import run_sequences
from inference.run.submission import MASKS, NOT_SCORED, write_zip
from inference.runtime import RuntimeOptions, load_for
from inference.scoring.folders import score_benchmark, unseen_note
from inference.views import ViewOptions
from model.processes import Processes
from scripts.arguments import CommandParser, Parsed


@dataclass(frozen=True)
class ResultOptions(Options):
    """What is made of the masks."""

    zip: bool = option(False, "also write OUTPUT/submission.zip for the server", recorded=False)
    ground_truth: Path | None = option(
        None, "folder of <video>/<frame>.png to score against (default: the Annotations of the data set, if they cover "
        "the frames that count)", metavar="DIR", recorded=False)
    unseen: Path | None = option(
        None, "LVOS: text file with the videos of unseen categories (default: unseen_videos.txt in the root)",
        metavar="FILE", recorded=False)


@command(less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    data, run, runtime = options[BenchmarkOptions], options[RunOptions], options[RuntimeOptions].resolved()
    results, videos, processes = options[ResultOptions], data.read(), Processes.of_evaluation()
    folder = folder_of(options, runtime, processes.count)
    segmenter = make_segmenter(
        load_for(runtime, run.weights), runtime, options[ViewOptions], options[MemoryOptions])
    record = run_sequences(videos, segmenter, folder, processes, run.overwrite)
    if not processes.first:
        return
    if results.zip:
        print(f"wrote {write_zip(run.output, [video.name for video in videos])}")
    if not run.no_score:
        score(videos, record, folder, data, results)
    print(describe(record["totals"]))


def folder_of(options: Parsed, runtime: RuntimeOptions, processes: int = 1) -> RunFolder:
    """The folder of the run that the options describe, with its settings. runtime: resolved."""
    groups = [options[ViewOptions], options[MemoryOptions], options[BenchmarkOptions]]
    return run_folder("eval_folder", options[RunOptions], runtime, groups, MASKS, processes)


def score(
    videos: list[BenchmarkVideo], record: dict[str, Any], folder: RunFolder, data: BenchmarkOptions,
    results: ResultOptions,
) -> None:
    """Score if there is ground truth for every frame that counts; add the scores to run.json."""
    unseen = data.unseen_videos(results.unseen)
    scores = score_benchmark(data.benchmark, videos, folder.output / MASKS, results.ground_truth, unseen)
    if scores is None:
        print(NOT_SCORED)
        return
    record["scores"], record["scores_per_sequence"] = scores
    print("  ".join(f"{column} {100 * value:.1f}" for column, value in record["scores"].items()))
    if note := unseen_note(data.benchmark, unseen):
        print(f"note: {note}")
    write_json(folder.file, record)


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    for kind in (BenchmarkOptions, RunOptions, ResultOptions, RuntimeOptions):
        parser.add_options(kind)
    parser.add_options(ViewOptions, short_side=480)
    parser.add_options(MemoryOptions, title="memory bank")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
