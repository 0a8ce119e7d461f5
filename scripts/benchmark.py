"""Speed, measured: medians of several runs, candidates in turn, one JSON line per measurement.

    python scripts/benchmark.py --data DATA                      every section
    python scripts/benchmark.py --data DATA --only loader score

DATA holds `DAVIS` (2016, 480p) and `static/ECSSD`. Sections:
  read    the memory read against dense top-k weights
  stages  key, value, decoding: seconds, FLOP rate, share of the machine's matrix-product rate
  video   whole frames of a real clip, banks and precisions in turn, one and three objects
  window  decoding only where an object can be, against whole frames (compact, or --weights)
  objects peak memory and time per frame of 30 objects, some of them at once
  files   what reading and writing cost beside computing
  long    memory and time per frame over an endless stream (--frames)
  loader  milliseconds per training sample on one core
  train   seconds per training step of the thesis's network against the plain fp32 path
  score   scoring a result folder, against one process that uses the formulas plainly
bf16 is measured if the device computes it natively. To measure as on an older processor:
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 python scripts/benchmark.py --data DATA
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import importlib
import json
from dataclasses import asdict

import torch

from inference.commands import command
from model.precision import float32_products, resolve_precision
from scripts.arguments import CommandParser
from scripts.benchmarks.figure import draw
from scripts.benchmarks.measure import Measurement, machine

SECTIONS = ("read", "stages", "video", "parts", "window", "objects", "files", "long", "loader", "train", "score")


@command()
def main(arguments: list[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    about = machine()
    print("  ".join(f"{key}: {value}" for key, value in about.items()))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options.precision = resolve_precision(options.precision, device)
    with float32_products("fp32"):      # for sections that run the network without a segmenter
        measured = measure(options, about)
    if options.figure:
        draw(measured, options.figure)
        print(f"wrote {options.figure}")


def measure(options: argparse.Namespace, about: dict[str, str | int]) -> list[Measurement]:
    """Run the sections, print their measurements and add them to the output."""
    measured = []
    for section in options.only:
        for measurement in importlib.import_module(f"scripts.benchmarks.{section}").run(options):
            print(measurement.line(), flush=True)
            measured.append(measurement)
            with options.output.open("a") as file:
                file.write(json.dumps(asdict(measurement) | {"machine": about}) + "\n")
    return measured


def parser() -> argparse.ArgumentParser:
    parser = CommandParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder with DAVIS and static/ECSSD")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION",
                        help=f"sections to run: {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--weights", type=Path, help="trained network for video, objects and long (default: random "
                        "weights of the thesis's network; of a small one for long; compact for objects)")
    parser.add_argument("--sequence", default="car-shadow", help="of DAVIS val, for video (default: car-shadow)")
    parser.add_argument("--clip-frames", type=int, metavar="N", help="of each clip, for video, window (default: all; "
                        "24 for window)")
    parser.add_argument("--frames", type=int, default=10_000, help="length of the stream for long (default: 10000)")
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16", "tf32", "auto"), default="fp32",
                        help="for window, objects, files and long (default: fp32)")
    parser.add_argument("--compare", choices=("plain", "none"), default="plain",
                        help="plain: run the plain fp32 path beside ours in stages and video (default: plain)")
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="those of video and parts whose names contain "
                        "one of these, such as: plain tuned (default: all)")
    parser.add_argument("--compile", dest="compiled", action="store_true", help="a compiled network too in stages and "
                        "video (its first frames take minutes on a CPU and are not counted)")
    parser.add_argument("--runs", type=int, default=5, help="of each stage (default: 5)")
    parser.add_argument("--figure", type=Path, help="also draw the measurements of this run, as PNG")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark.jsonl"), help="JSON lines are added here")
    return parser


if __name__ == "__main__":
    main()
