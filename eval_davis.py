"""Segment DAVIS 2016 or 2017 and score the masks.

    python eval_davis.py --davis-root DAVIS --year 2017 --weights stcn.pth --memory lfu --output runs/lfu2

Writes OUTPUT/<sequence>/00000.png (indexed, DAVIS palette), run.json (settings, versions, FPS, entries held)
and the official toolkit's two CSVs. A run that was stopped goes on when the same command is run again.
"""

import argparse
import hashlib
import json
from pathlib import Path

from dataset.davis import davis_sequences, has_full_ground_truth
from dataset.folder import FolderSequence
from inference.commands import (
    MEMORY_FLAGS,
    add_memory_flags,
    add_network_flags,
    apply_config,
    command,
    device_of,
    memory_from,
)
from inference.runner import run_sequences
from inference.scoring import format_table, global_statistics, score_results, write_csvs, write_text
from inference.segmenter import VideoSegmenter
from model import load_network


@command
def main(arguments: list[str] | None = None) -> None:
    options = apply_config(parser(), arguments)
    memory = memory_from(options)
    sequences = davis_sequences(
        options.davis_root, options.year, options.split, options.resolution, options.sequences
    )
    network = load_network(options.weights, device_of(options.device))
    run = run_sequences(
        sequences, lambda: VideoSegmenter(network, memory, options.memory_every, options.precision),
        options.output, settings(options), options.overwrite, options.overlays,
    )
    totals = run["totals"]
    print(f"{totals['frames']} frames at {totals['fps']:.2f} FPS ({totals['fps_with_files']:.2f} with files), memory "
          f"frames held: {totals['frames_held_mean']:.2f} on average, {totals['frames_held_peak']:.2f} at most")
    if options.no_score:
        return
    if not all(map(has_full_ground_truth, sequences)):
        print("not scored: the annotations stop after the first frame")
        return
    score(sequences, run, options)


def score(sequences: list[FolderSequence], run: dict, options: argparse.Namespace) -> None:
    """Score the result folder, print the table, write the CSVs and add the scores to run.json."""
    scores = score_results({s.name: s.ground_truth for s in sequences}, options.output, options.year == 2016)
    print(format_table(scores))
    for note in (note for scored in scores for note in scored.notes):
        print(f"note: {note}")
    write_csvs(options.output, options.split, scores)
    run["scores"] = global_statistics(scores)
    run["scores_per_sequence"] = {scored.sequence: global_statistics([scored]) for scored in scores}
    write_text(options.output / "run.json", json.dumps(run, indent=1) + "\n")


def settings(options: argparse.Namespace) -> dict:
    """What the masks depend on: a run is gone on with only where all of it is the same."""
    with open(options.weights, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    names = ("year", "split", "resolution", "precision", *MEMORY_FLAGS)
    return {
        "command": "eval_davis", "root": str(options.davis_root), "weights": str(options.weights),
        "weights_sha256": digest, **{name: getattr(options, name) for name in names},
    }


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--davis-root", type=Path, required=True, help="folder with JPEGImages, Annotations and ImageSets")
    add("--year", type=int, choices=(2016, 2017), default=2017, help="2016: one object; 2017: several (default)")
    add("--split", default="val", help="val, train or test-dev: a list in ImageSets (default: val)")
    add("--resolution", choices=("480p", "Full-Resolution"), default="480p")
    add("--sequences", nargs="+", metavar="NAME", help="only these sequences")
    add("--output", type=Path, required=True, help="run folder")
    add("--config", type=Path, help="YAML with values for these flags; flags given here win")
    add("--overlays", action="store_true", help="also write OUTPUT/overlays/<sequence>/<frame>.jpg")
    add("--overwrite", action="store_true", help="start anew where OUTPUT holds a run with other settings")
    add("--no-score", action="store_true", help="do not score the masks")
    add_network_flags(parser)
    add_memory_flags(parser)
    return parser


if __name__ == "__main__":
    main()
