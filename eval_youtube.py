"""Segment YouTube-VOS, or any folder of JPEGImages/ and Annotations/, where objects appear at any frame.

    python eval_youtube.py --youtube-root YouTube-VOS/valid --all-frames-root YouTube-VOS/valid_all_frames \\
        --weights stcn.pth --memory lfu --output runs/youtube --zip

Writes OUTPUT/Annotations/<video>/00000.png for the frames that meta.json asks for, run.json, and with --zip the
archive for the server. Scores where ground truth is at hand. A run that was stopped goes on when the same command
is run again. Several processes share the videos: torchrun --nproc-per-node 2 eval_youtube.py ...
"""

import argparse
import zipfile
from pathlib import Path

from dataset.files import whole
from dataset.folder import list_images
from dataset.youtube import YouTubeSequence, read_categories, youtube_sequences
from inference.commands import LESS_MEMORY, command
from inference.options import add_run_flags, parse_with_config, run_folder, segmenter_maker
from inference.run.folder import RunFolder
from inference.run.ranks import Ranks
from inference.run.record import describe, write_json
from inference.run.runner import run_sequences
from inference.scoring.youtube import score_videos, seen_and_unseen
from scripts.arguments import CommandParser

MASKS = "Annotations"


@command(less=f"a smaller --short-side, {LESS_MEMORY}")
def main(arguments: list[str] | None = None) -> None:
    options = parse_with_config(parser(), arguments)
    videos = youtube_sequences(options.youtube_root, options.all_frames_root, options.sequences)
    ranks = Ranks()
    folder = run_folder(
        options, "eval_youtube", "youtube_root", "all_frames_root", "short_side", "write_all_frames",
        masks=MASKS, processes=ranks.count, telemetry=options.telemetry,
    )
    run = run_sequences(
        videos, segmenter_maker(options, options.short_side)(), folder, ranks, options.overwrite,
        wanted=lambda video: None if options.write_all_frames else video.required,
    )
    if not ranks.first:
        return
    if options.zip:
        print(f"wrote {write_zip(options.output, [video.name for video in videos])}")
    if not options.no_score:
        score(videos, run, folder, options)
    print(describe(run["totals"]))


def score(videos: list[YouTubeSequence], run: dict, folder: RunFolder, options: argparse.Namespace) -> None:
    """Score where ground truth covers every required frame; add the scores to run.json."""
    root = options.ground_truth or options.youtube_root / MASKS
    truths = {video.name: {path.stem: path for path in list_images(root / video.name)} for video in videos}
    truths = {v.name: {n: truths[v.name][n] for n in truths[v.name] if n in v.required} for v in videos}
    if options.ground_truth is None and any(len(truths[v.name]) < len(v.required) for v in videos):
        print("not scored: the annotations do not cover the frames asked for; the server has them (--ground-truth DIR "
              "where you do)")
        return
    seen = None if options.seen_from is None else read_categories(options.seen_from)
    scores = score_videos(truths, options.output / MASKS, {video.name: video.categories for video in videos})
    run["scores"] = seen_and_unseen(scores, seen)
    print("  ".join(f"{column} {100 * value:.1f}" for column, value in run["scores"].items()))
    if seen is None:
        print("note: no --seen-from, so all categories count as seen")
    write_json(folder.file, run)


def write_zip(output: Path, videos: list[str]) -> Path:
    """OUTPUT/submission.zip with Annotations/<video>/<frame>.png, as the server asks for; written atomically."""
    archive = output / "submission.zip"
    with whole(archive) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for video in videos:
            for mask in sorted((output / MASKS / video).glob("*.png")):
                undated = zipfile.ZipInfo(f"{MASKS}/{video}/{mask.name}")      # the same masks, the same bytes
                file.writestr(undated, mask.read_bytes())
    return archive


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--youtube-root", type=Path, required=True, help="folder with JPEGImages, Annotations and, maybe, meta.json")
    add("--all-frames-root", type=Path, help="the same videos with every frame: all are segmented")
    add("--short-side", type=int, default=480, metavar="PIXELS",
        help="larger frames are shrunk to it, masks brought back; 0: native size (default: 480)")
    add("--write-all-frames", action="store_true", help="write every frame's mask, not only those asked for")
    add("--zip", action="store_true", help="also write OUTPUT/submission.zip for the server")
    add("--ground-truth", type=Path, metavar="DIR", help="folder of <video>/<frame>.png to score against "
        "(default: the root's Annotations, if they cover the frames asked for)")
    add("--seen-from", type=Path, metavar="META", help="the training set's meta.json: its categories are the seen ones")
    add_run_flags(parser)
    return parser


if __name__ == "__main__":
    main()
