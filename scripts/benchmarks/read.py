"""Reading the memory at 480p (1620 cells): the bank's weighted gather against dense top-k weights, the oracle."""

import argparse
import functools
from collections.abc import Iterator

import torch

from model.grouped_search import match
from model.matching import dense_weights, gather_read, similarity, top_k_affinity
from scripts.benchmarks.measure import Measurement, measure_in_turn, ratio

CELLS, KEY, VALUE, TOP_K = 30 * 54, 64, 512, 20


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for frames in (2, 20, 100):
        torch.manual_seed(0)
        entries = frames * CELLS
        keys, values = torch.randn(entries, KEY, device=device), torch.randn(entries, VALUE, device=device)
        query = torch.randn(CELLS, KEY, device=device)
        dense = functools.partial(_dense, keys, values, query)
        gather = functools.partial(_gather, keys, values, query)
        error = (dense() - gather()).abs().max() / dense().abs().max()
        assert error < 1e-5, error
        results = measure_in_turn("read", {
            f"{frames} frames held, dense oracle": dense, f"{frames} frames held, gather": gather,
        }, runs=7, alone=True)
        oracle = results[f"{frames} frames held, dense oracle"]
        for result in results.values():
            result.notes = {"times oracle": ratio(oracle, result), "relative error": f"{error:.1e}"}
            yield result


@torch.inference_mode()
def _dense(keys: torch.Tensor, values: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    return dense_weights(top_k_affinity(similarity(keys, query), TOP_K), len(keys)) @ values


@torch.inference_mode()
def _gather(keys: torch.Tensor, values: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
    (matches,) = match(keys, query, TOP_K)
    return gather_read(values, matches)
