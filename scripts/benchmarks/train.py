"""Training: seconds per step of the thesis's network, 384 x 384, two objects, against the plain fp32 path.

Plain: default memory format and an unfused optimizer. Ours: as `model/training/trainer.py` trains.
"""

import argparse
import functools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from model import STCN
from model.fast import in_layout
from model.objective import clip_loss
from model.precision import PRECISIONS
from scripts.benchmarks.measure import Measurement, measure_in_turn, precisions, ratio


def run(options: argparse.Namespace) -> Iterator[Measurement]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batch = 16 if device.type == "cuda" else 1
    runs = 10 if device.type == "cuda" else 5
    candidates = {
        "step, plain fp32": _stepper(device, batch, torch.float32, plain=True),
    } | {f"step, {name}": _stepper(device, batch, PRECISIONS[name]) for name in precisions(device)}
    results = measure_in_turn("train", candidates, runs)
    plain = results["step, plain fp32"]
    for result in results.values():
        result.notes = {"batch": str(batch), "samples/s": batch / result.median, "times plain": ratio(plain, result)}
        yield result


def _stepper(device: torch.device, batch: int, precision: torch.dtype, plain: bool = False) -> Callable[[], None]:
    torch.manual_seed(0)
    layout = torch.contiguous_format if plain else torch.channels_last
    network = in_layout(STCN().to(device), layout).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5, fused=not plain)
    frames = torch.randn(batch, 3, 3, 384, 384, device=device)
    labels = torch.randint(0, 3, (batch, 3, 384, 384), device=device)
    objects = torch.full((batch,), 2)
    return functools.partial(_step, network, optimizer, frames, labels, objects, precision)


def _step(
    network: STCN, optimizer: torch.optim.Optimizer, frames: Tensor, labels: Tensor, objects: Tensor,
    precision: torch.dtype,
) -> None:
    with torch.autocast(frames.device.type, precision, enabled=precision is not torch.float32):
        loss = clip_loss(network, frames, labels, objects, 0)["total"]
    optimizer.zero_grad(set_to_none=True)
    loss.backward()     # type: ignore[union-attr]   # "hard_fraction" alone is a number
    optimizer.step()
