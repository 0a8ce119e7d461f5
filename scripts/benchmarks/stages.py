"""The network's stages at 854 x 480 (padded to 864): seconds, FLOP rate, share of the matrix-product rate."""

import argparse
import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from model import STCN
from model.fast import prepare_for_inference
from model.geometry import STRIDE
from model.precision import PRECISIONS
from scripts.benchmarks.measure import Measurement, measure_in_turn, precisions

HEIGHT, WIDTH, SIDE = 480, 864, 4096
WARMUP = 4            # of a compiled stage: it is compiled, run once, recorded as a CUDA graph, and replayed


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    network = STCN().to(device).eval()
    fastest = precisions(device)[-1]
    variants = {precision: prepare_for_inference(network, precision) for precision in precisions(device)}
    if device.type == "cpu":
        variants["tuned fp32"] = prepare_for_inference(network, tune=True)
    if options.compare == "plain":
        variants["plain fp32"] = network
    if options.compiled:
        variants[f"compiled {fastest}"] = prepare_for_inference(variants[fastest], fastest, compiled=True)
    for precision, fast in variants.items():
        dtype = PRECISIONS[precision.split()[-1]]
        left, right = (torch.randn(SIDE, SIDE, device=device).to(dtype) for _ in range(2))
        product = {"matrix product": functools.partial(torch.matmul, left, right)}
        calls = product | _stages(fast, device, dtype)
        named = {f"{name}, {precision}": call for name, call in calls.items()}
        results = measure_in_turn("stages", named, options.runs, WARMUP if fast.compiled else 1)
        if fast.compiled:                                  # operations are counted where Python sees them
            calls = product | _stages(variants[fastest], device, dtype)
        rates = {
            name: _flops(calls[name.removesuffix(f", {precision}")]) / result.median / 1e9
            for name, result in results.items()
        }
        best = rates[f"matrix product, {precision}"]
        for name, result in results.items():
            result.notes = {"GFLOP/s": rates[name], "of the matrix rate": rates[name] / best}
            yield result


def _stages(network: STCN, device: torch.device, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    layout: dict[str, Any] = {"device": device, "dtype": dtype}
    frame = torch.randn(1, 3, HEIGHT, WIDTH, **layout).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        features = network.encode_key(frame)
        features = replace(features, **{name: kept.clone() for name, kept in vars(features).items()})
    calls: dict[str, Callable[[], object]] = {"key": lambda: network.encode_key(frame)}
    for objects in (1, 3):
        masks = torch.rand(1, objects, HEIGHT, WIDTH, device=device)
        readout = torch.randn(1, objects, network.config.value_dim, HEIGHT // STRIDE, WIDTH // STRIDE, **layout)
        calls[f"value, {objects} obj"] = functools.partial(network.encode_value, frame, features.f16, masks)
        calls[f"decode, {objects} obj"] = functools.partial(network.segment, readout, features)
    return {name: functools.partial(_step, call, network.compiled) for name, call in calls.items()}


@torch.inference_mode()
def _step(call: Callable[[], object], compiled: bool) -> object:
    """A run of a stage. A CUDA graph writes each output where the one before was; the mark says that none is held."""
    if compiled:
        torch.compiler.cudagraph_mark_step_begin()
    return call()


def _flops(call: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()
