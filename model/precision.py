"""Precisions by name. Half precision is guarded in a few places by `at_least_float32`."""

import torch
from torch import Tensor

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision and integers become float32; float64 stays."""
    return x if x.dtype == torch.float64 else x.float()
