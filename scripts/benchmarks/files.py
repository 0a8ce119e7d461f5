"""The cost of reading frames and writing masks beside computing them, on one sequence that the runner segments."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from dataset.davis import davis_sequences
from inference import VideoSegmenter, build_memory
from inference.run.runner import run_sequence
from inference.run.writer import SequenceWriter
from inference.views import ViewSegmenter
from model import STCN, load_network
from scripts.benchmarks.measure import Measurement

RUNS = 3


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    network = load_network(options.weights, device) if options.weights else STCN().to(device).eval()
    (sequence,) = davis_sequences(options.data / "DAVIS", 2016, "val", names=[options.sequence])
    segmenter = ViewSegmenter([VideoSegmenter(network, build_memory("lfu", 2), precision=options.precision)])
    walls, shares = [], []
    for _ in range(RUNS):
        segmenter.reset()
        with tempfile.TemporaryDirectory() as folder, tqdm(disable=True) as bar:
            report = run_sequence(sequence, segmenter, SequenceWriter(Path(folder) / "masks"), bar)
        walls.append(report.wall_seconds)
        shares.append(report.wall_seconds / report.seconds - 1)
    middle = sorted(range(RUNS), key=walls.__getitem__)[RUNS // 2]
    yield Measurement(
        "files", f"{options.sequence}, {options.precision}, lfu 2", walls[middle], min(walls), max(walls), RUNS,
        {"frames": str(len(sequence)), "over compute alone": shares[middle], "worst": max(shares)},
    )
