"""The long synthetic clips: scores of an ablation over time, after each return of an object, and around each event.

    python scripts/make_synthetic.py --output data/long --kind long --videos 6 --frames 1000
    python scripts/ablate.py --davis-root data/long/Long --year 2017 --weights compact --output runs/long \\
        --memory every_k first_and_latest lfu fifo novelty --memory-frames 2 4
    python scripts/score_long.py --run runs/long --clips data/long/Long --output runs/long-report

OUTPUT/long.md has a row per memory bank: J&F of all frames; in the 50 frames after an object returns; while it is gone
(100 if nothing is segmented then); around each kind of event; memory frames held; milliseconds a frame. long.png shows
J&F, memory held and milliseconds over the frames. long.csv, returns.csv (each return) and curves.csv hold the numbers.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

from inference.ablation.long_clips import long_table, read_settings, write_long_report
from inference.commands import command
from scripts.arguments import CommandParser


@command(again="run the same command again")
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    settings = read_settings(options.run, options.clips)
    write_long_report(settings, options.output)
    print(long_table(settings).markdown())
    print(f"wrote {options.output / 'long.md'}")


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    add = parser.add_argument
    add("--run", type=Path, required=True, metavar="DIR", help="folder of scripts/ablate.py over the clips")
    add("--clips", type=Path, required=True, metavar="DIR", help="the clips: the folder Long of make_synthetic.py")
    add("--output", type=Path, required=True, metavar="DIR", help="folder of the report")
    return parser


if __name__ == "__main__":
    main()
