"""Segment YouTube-VOS, or any folder of JPEGImages/ and Annotations/, where objects appear at any frame.

    python eval_youtube.py --youtube-root YouTube-VOS/valid --all-frames-root YouTube-VOS/valid_all_frames \\
        --weights stcn.pth --memory lfu --output runs/youtube --zip

Writes OUTPUT/Annotations/<video>/00000.png for the frames that meta.json lists, run.json and, with --zip, the archive
for the server. Scores the masks if ground truth is available. To resume a stopped run, run the same command again.
Several processes share the videos: torchrun --nproc-per-node 2 eval_youtube.py ...
"""

from pathlib import Path
from typing import Any

from dataset.youtube import YouTubeSequence, read_categories
from inference.commands import LESS_MEMORY, command
from inference.data_options import YouTubeOptions
from inference.evaluation import RunOptions, make_segmenter, run_folder
from inference.memory import MemoryOptions
from inference.run.folder import RunFolder
from inference.run.record import describe, write_json
from inference.run.runner import run_sequences
from inference.run.submission import MASKS, NOT_SCORED, ResultOptions, required_truths, write_zip
from inference.runtime import RuntimeOptions, load_for
from inference.scoring.youtube import score_videos, seen_and_unseen
from inference.views import ViewOptions
from model.processes import Processes
from scripts.arguments import CommandParser, Parsed


@command(less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse(arguments)
    data, run, runtime = options[YouTubeOptions], options[RunOptions], options[RuntimeOptions].resolved()
    views, memory, results = options[ViewOptions], options[MemoryOptions], options[ResultOptions]
    videos, processes = data.read(), Processes.of_evaluation()
    folder = folder_of(options, runtime, processes.count)
    segmenter = make_segmenter(load_for(runtime, run.weights), runtime, views, memory)
    record = run_sequences(
        videos, segmenter, folder, processes, run.overwrite,
        wanted=lambda video: None if data.write_all_frames else video.required,
    )
    if not processes.first:
        return
    if results.zip:
        print(f"wrote {write_zip(run.output, [video.name for video in videos])}")
    if not run.no_score:
        score(videos, record, folder, results, data.youtube_root)
    print(describe(record["totals"]))


def folder_of(options: Parsed, runtime: RuntimeOptions, processes: int = 1) -> RunFolder:
    """The folder of the run that the options describe, with its settings. runtime: resolved."""
    groups = [options[ViewOptions], options[MemoryOptions], options[YouTubeOptions]]
    return run_folder("eval_youtube", options[RunOptions], runtime, groups, MASKS, processes)


def score(
    videos: list[YouTubeSequence], record: dict[str, Any], folder: RunFolder, results: ResultOptions, root: Path
) -> None:
    """Score if the ground truth covers every required frame; add the scores to run.json."""
    truths = required_truths(videos, root, results.ground_truth)
    if truths is None:
        print(NOT_SCORED)
        return
    seen = None if results.seen_from is None else read_categories(results.seen_from)
    scores = score_videos(truths, folder.output / MASKS, {video.name: video.categories for video in videos})
    record["scores"] = seen_and_unseen(scores, seen)
    print("  ".join(f"{column} {100 * value:.1f}" for column, value in record["scores"].items()))
    if seen is None:
        print("note: no --seen-from, so all categories count as seen")
    write_json(folder.file, record)


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    for kind in (YouTubeOptions, RunOptions, ResultOptions, RuntimeOptions):
        parser.add_options(kind)
    parser.add_options(ViewOptions, short_side=480)
    parser.add_options(MemoryOptions, title="memory bank")
    parser.add_config()
    return parser


if __name__ == "__main__":
    main()
