"""Speed, measured: medians of several runs, candidates in turn, one JSON line per measurement.

    python scripts/benchmark.py --data DATA                      every section
    python scripts/benchmark.py --data DATA --only loader score

DATA holds `DAVIS` (2016, 480p) and `static/ECSSD`. Sections:
  loader  milliseconds per training sample on one core
  train   seconds per training step of the thesis's network, fp32 and bf16, against the plain fp32 path
  score   scoring a result folder, against one process that uses the formulas plainly
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import importlib
import json
from dataclasses import asdict

from inference.commands import command
from scripts.benchmarks.measure import machine

SECTIONS = ("loader", "train", "score")


@command
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with DAVIS and static/ECSSD")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION",
                        help=f"sections to run: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark.jsonl"), help="JSON lines are added here")
    options = parser.parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    about = machine()
    print("  ".join(f"{key}: {value}" for key, value in about.items()))
    for section in options.only:
        for measurement in importlib.import_module(f"scripts.benchmarks.{section}").run(options):
            print(measurement.line(), flush=True)
            with options.output.open("a") as file:
                file.write(json.dumps(asdict(measurement) | {"machine": about}) + "\n")


if __name__ == "__main__":
    main()
