"""The policy lab: what a memory policy keeps, simulated over stored keys in seconds, without a single mask decoded.

    python scripts/policy_lab.py keys --davis-root DAVIS --year 2016 --weights stcn.pth --keys runs/keys
    python scripts/policy_lab.py replay --keys runs/keys --output runs/lab
    python scripts/policy_lab.py correlate --replay runs/lab --runs runs/every5 runs/lfu1 runs/lfu2
    python scripts/policy_lab.py compare --keys runs/keys --runs runs/lfu2 runs/dam4

`keys` encodes every frame's key once (about 0.2 MB a frame at 480p) and stores the annotations at stride 16. It also
segments the videos with the unbounded bank, since some policies need to know how good the masks are. `replay` runs
every policy at every capacity over them, in lockstep, and writes lab.md, lab.csv and lab.png: the unbounded bank's
attention that each retains, beside the most that any bank could, and how well it carries the first mask on.
`correlate` says how well these numbers order banks as full evaluations do. `compare` says which of the entries that
evaluations held (with --telemetry) a replay holds too. If a command was stopped, run it again to resume.
"""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from inference.commands import command
from inference.data_options import DavisOptions
from inference.lab.correlation import correlation_table, scores_of_ablation, scores_of_runs
from inference.lab.fidelity import fidelity_table
from inference.lab.keys import KeyFolder, encode_videos
from inference.lab.replay import DEFAULT_ROWS, OF_A_ROW, QUALITY_ROWS, ROWS, LabOptions
from inference.lab.replay_report import MAIN, capacity_table, write_page
from inference.lab.study import ReplayFolder, replay_videos
from inference.memory import MemoryOptions, build_memory
from inference.options import Options, option
from inference.report.runs import read_runs
from inference.runtime import RuntimeOptions, load_for
from inference.segmenter import VideoSegmenter
from inference.views import ViewOptions
from model.checkpoint import weights_digest
from scripts.arguments import CommandParser, Parsed


@dataclass(frozen=True)
class KeyOptions(Options):
    """The weights, and where the keys go."""

    weights: Path = option(
        help="network: own or published STCN layout, or compact, which comes with the repository", metavar="FILE")
    keys: Path = option(help="folder for the keys", metavar="DIR")
    no_quality: bool = option(
        False, "keys alone, in a third of the time; policies that need the quality of masks cannot be replayed")


@dataclass(frozen=True)
class ReplayOptions(Options):
    """What is replayed, and where the results go."""

    keys: Path = option(help="folder of keys", metavar="DIR")
    output: Path = option(help="folder for the results", metavar="DIR")
    sequences: tuple[str, ...] | None = option(None, "replay only these videos", metavar="NAME")
    policies: tuple[str, ...] | None = option(
        None, f"some of {', '.join(ROWS)} (default: those with a capacity)", metavar="NAME", choices=ROWS)
    capacities: tuple[int, ...] = option((1, 2, 3, 4, 6, 8), "in frames", metavar="N", minimum=1)
    workers: int = option(os.cpu_count() or 1, "processes", metavar="N", minimum=1)


@dataclass(frozen=True)
class CorrelateOptions(Options):
    """The replay and the evaluations that are compared."""

    replay: Path = option(help="folder that replay wrote", metavar="DIR")
    runs: tuple[Path, ...] = option((), "run folders of eval_davis.py", metavar="RUN")
    ablation: Path | None = option(
        None, "ablation.csv of scripts/ablate.py, beside or in place of --runs", metavar="CSV")


@dataclass(frozen=True)
class CompareOptions(Options):
    """The keys and the evaluations that are compared."""

    keys: Path = option(help="folder of keys", metavar="DIR")
    runs: tuple[Path, ...] = option(help="run folders of eval_davis.py --telemetry", metavar="RUN")


@command()
def main(arguments: list[str] | None = None) -> None:
    options = vars(parser().parse_args(arguments))
    function, chosen = options.pop("function"), options.pop("parser")
    function(chosen.resolve(argparse.Namespace(**options)))


def keys(options: Parsed) -> None:
    data, given, runtime = options[DavisOptions], options[KeyOptions], options[RuntimeOptions].resolved()
    short_side = options[ViewOptions].short_side
    sequences = data.read()
    network = load_for(runtime, given.weights)
    settings = {
        "weights_sha256": weights_digest(given.weights), "year": data.year, "precision": runtime.precision,
        "short_side": short_side,
    }
    folder = KeyFolder.open(given.keys, settings)
    segmenter = VideoSegmenter(network, build_memory("every_k"), precision=runtime.precision)
    encode_videos(sequences, segmenter, folder, short_side, not given.no_quality)
    print(f"{given.keys}: the keys of {len(folder.videos)} videos")


def replay(options: Parsed) -> None:
    given = options[ReplayOptions]
    folder = KeyFolder.read(given.keys)
    videos = folder.chosen(given.sequences)
    lab = LabOptions(given.policies or _default_rows(folder, videos), given.capacities, options[MemoryOptions])
    results = replay_videos(folder, videos, lab, ReplayFolder(given.output), given.workers)
    write_page(given.output, results)
    for measure in MAIN:
        print(capacity_table(results, measure).markdown(), end="\n\n")
    print(f"wrote {given.output / 'lab.md'}, lab.csv and lab.png beside it")


def _default_rows(folder: KeyFolder, videos: list[str]) -> tuple[str, ...]:
    """All rows with a capacity that these keys allow; says which do not."""
    if folder.has_quality(videos):
        return DEFAULT_ROWS
    print(f"{folder.root}: {', '.join(QUALITY_ROWS)} are left out, since they need the quality of the masks; run "
          "`keys` again to add it")
    return tuple(row for row in DEFAULT_ROWS if row not in QUALITY_ROWS)


def correlate(options: Parsed) -> None:
    given = options[CorrelateOptions]
    folder = ReplayFolder(given.replay)
    settings = folder.read_settings()
    results = [result for video in folder.finished() for result in folder.read(video)]
    scores = scores_of_runs(list(given.runs), settings) if given.runs else {}
    if given.ablation:
        scores |= scores_of_ablation(given.ablation, settings)
    print(correlation_table(results, scores).markdown())


def compare(options: Parsed) -> None:
    given = options[CompareOptions]
    keys, runs = KeyFolder.read(given.keys), read_runs(list(given.runs))
    videos = sum(len(run.sequences) for run in runs)
    with tqdm(total=videos, unit="video", desc="compare", dynamic_ncols=True) as bar:
        table = fidelity_table(keys, runs, bar.update)
    print(table.markdown())


def parser() -> CommandParser:
    parser = CommandParser(description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="keys|replay|correlate|compare")

    sub = _subcommand(commands, keys, "encode and store the keys of DAVIS sequences",
        "--davis-root DAVIS --year 2016 --weights compact --keys runs/keys")
    sub.add_options(DavisOptions, without=("resolution",), year=2016)
    sub.add_options(KeyOptions)
    sub.add_options(RuntimeOptions, without=("decode", "compile", "objects_at_once"))
    sub.add_options(ViewOptions, without=("resize", "flip", "scales"))

    sub = _subcommand(commands, replay, "replay policies over stored keys",
        "--keys runs/keys --output runs/lab --policies lfu fifo novelty --capacities 1 2 4")
    sub.add_options(ReplayOptions)
    sub.add_options(MemoryOptions, without=OF_A_ROW)

    sub = _subcommand(commands, correlate, "rank correlation with full evaluations",
        "--replay runs/lab --ablation runs/ablation/ablation.csv")
    sub.add_options(CorrelateOptions)

    sub = _subcommand(commands, compare, "which entries of evaluations a replay holds too",
        "--keys runs/keys --runs runs/lfu2 runs/dam4")
    sub.add_options(CompareOptions)
    return parser


def _subcommand(
    commands: "argparse._SubParsersAction[CommandParser]", function: Callable[[Parsed], None], text: str, example: str
) -> CommandParser:
    epilog = f"example:\n  python scripts/policy_lab.py {function.__name__} {example}"
    sub = commands.add_parser(function.__name__, help=text, description=text, epilog=epilog)
    sub.set_defaults(function=function, parser=sub)
    return sub


if __name__ == "__main__":
    main()
