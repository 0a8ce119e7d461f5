"""The policy lab: what a memory policy keeps, simulated over stored keys in seconds, without a single mask decoded.

    python scripts/policy_lab.py keys --davis-root DAVIS --year 2016 --weights stcn.pth --keys runs/keys
    python scripts/policy_lab.py replay --keys runs/keys --output runs/lab
    python scripts/policy_lab.py correlate --replay runs/lab --runs runs/every5 runs/lfu1 runs/lfu2

`keys` encodes every frame's key once (about 0.2 MB a frame at 480p) and stores the annotations at stride 16. `replay`
runs every policy at every capacity over them, in lockstep, and writes lab.md, lab.csv and lab.png: the unbounded bank's
attention that each retains, beside the most that any bank could, and how well it carries the first mask on. `correlate`
says how well these numbers order banks as full evaluations do. What was stopped goes on when it is run again.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dataset.davis import davis_sequences
from inference.commands import command
from inference.device import device_of
from inference.lab.correlation import correlation_table, scores_of_ablation, scores_of_runs
from inference.lab.keys import KeyFolder, encode_videos
from inference.lab.replay import DEFAULT_ROWS, ROWS, LabOptions
from inference.lab.replay_report import MAIN, capacity_table, write_page
from inference.lab.study import ReplayFolder, replay_videos
from inference.memory import build_memory
from inference.segmenter import VideoSegmenter
from model import load_network
from model.checkpoint import weights_file
from model.fast import PRECISIONS
from scripts.arguments import CommandParser, positive


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    options.run(options)


def keys(options: argparse.Namespace) -> None:
    sequences = davis_sequences(options.davis_root, options.year, options.split, names=options.sequences)
    network = load_network(options.weights, device_of(options.device))
    with open(weights_file(options.weights), "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    settings = {"weights_sha256": digest} | {key: getattr(options, key) for key in ("year", "precision", "short_side")}
    folder = KeyFolder.open(options.keys, settings)
    segmenter = VideoSegmenter(network, build_memory("every_k"), precision=options.precision)
    encode_videos(sequences, segmenter, folder, options.short_side)
    print(f"{options.keys}: the keys of {len(folder.videos)} videos")


def replay(options: argparse.Namespace) -> None:
    folder = KeyFolder.read(options.keys)
    lab = LabOptions(
        tuple(options.policies), tuple(options.capacities), options.memory_every, options.top_k, options.seed
    )
    videos = folder.chosen(options.sequences)
    results = replay_videos(folder, videos, lab, ReplayFolder(options.output), options.workers)
    write_page(options.output, results)
    for measure in MAIN:
        print(capacity_table(results, measure).markdown(), end="\n\n")
    print(f"wrote {options.output / 'lab.md'}, lab.csv and lab.png beside it")


def correlate(options: argparse.Namespace) -> None:
    folder = ReplayFolder(options.replay)
    settings = folder.read_settings()
    results = [result for video in folder.finished() for result in folder.read(video)]
    scores = scores_of_runs(options.runs, settings) if options.runs else {}
    if options.ablation:
        scores |= scores_of_ablation(options.ablation, settings)
    print(correlation_table(results, scores).markdown())


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="keys|replay|correlate")

    add = _subcommand(commands, keys, "encode and store the keys of DAVIS sequences",
        "--davis-root DAVIS --year 2016 --weights compact --keys runs/keys")
    add("--davis-root", type=Path, required=True, help="folder with JPEGImages, Annotations and ImageSets")
    add("--year", type=int, choices=(2016, 2017), default=2016, help="2016: one object (default); 2017: several")
    add("--split", default="val", help="val, train or test-dev: a list in ImageSets (default: val)")
    add("--sequences", nargs="+", metavar="NAME", help="only these")
    add("--weights", type=Path, required=True, help="network: own or published STCN layout")
    add("--keys", type=Path, required=True, metavar="DIR", help="folder for the keys")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:n (default: auto)")
    add("--precision", choices=list(PRECISIONS), default="fp32", help="of the network (default: fp32)")
    add("--short-side", type=int, default=0, metavar="PIXELS", help="shrink larger frames; 0: native size (default)")

    add = _subcommand(commands, replay, "replay policies over stored keys",
        "--keys runs/keys --output runs/lab --policies lfu fifo novelty --capacities 1 2 4")
    add("--keys", type=Path, required=True, metavar="DIR", help="folder of keys")
    add("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    add("--sequences", nargs="+", metavar="NAME", help="only these")
    add("--policies", nargs="+", choices=list(ROWS), default=DEFAULT_ROWS, metavar="NAME",
        help=f"some of {', '.join(ROWS)} (default: those with a capacity)")
    add("--capacities", nargs="+", type=positive, default=[1, 2, 3, 4, 6, 8], metavar="N", help="in frames")
    add("--memory-every", type=positive, default=5, metavar="K", help="store every K-th frame (default: 5)")
    add("--top-k", type=positive, default=20, metavar="K", help="entries a query cell reads (default: 20)")
    add("--seed", type=int, default=0, help="of policies that draw")
    add("--workers", type=positive, default=os.cpu_count(), metavar="N", help="processes (default: one per core)")

    add = _subcommand(commands, correlate, "rank correlation with full evaluations",
        "--replay runs/lab --ablation runs/ablation/ablation.csv")
    add("--replay", type=Path, required=True, metavar="DIR", help="a folder that replay wrote")
    add("--runs", nargs="+", type=Path, default=[], metavar="RUN", help="run folders of eval_davis.py")
    add("--ablation", type=Path, metavar="CSV", help="ablation.csv of scripts/ablate.py, beside or in place of --runs")
    return parser


def _subcommand(commands: argparse._SubParsersAction, function: Callable, text: str, example: str) -> Callable:
    epilog = f"example:\n  python scripts/policy_lab.py {function.__name__} {example}"
    sub = commands.add_parser(function.__name__, help=text, description=text, epilog=epilog)
    sub.set_defaults(run=function)
    return sub.add_argument


if __name__ == "__main__":
    main()
