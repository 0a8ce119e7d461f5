"""The tensor of the pretended GPU (`tests.pretended_gpu`)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class GpuTensor(Tensor):
    """A tensor of the pretended GPU; `held` has its values."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor, device: torch.device) -> "GpuTensor":
        tensor = Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=device,
        )
        tensor.held = held
        return tensor

    def __repr__(self) -> str:
        return f"GpuTensor({self.held!r}, device={self.device})"

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.held.__reduce_ex__(protocol)               # saved as values; files are loaded on the CPU

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        if not force:
            raise TypeError(f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() first")
        return self.detach().cpu().numpy()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise RuntimeError(f"{func}: a tensor of the pretended GPU is used outside of its `with` block")


def each_tensor(x: Any, function: Callable[[Tensor], Any]) -> Any:
    """x with `function` of each tensor in it, in its lists and tuples, and in the values of its dictionaries."""
    if isinstance(x, Tensor):
        return function(x)
    kind = type(x)
    if kind is tuple or kind is list:
        return kind([each_tensor(value, function) for value in x])
    if kind is dict:
        return {name: each_tensor(value, function) for name, value in x.items()}
    return x


def values_of(x: Tensor) -> Tensor:
    return x.held if isinstance(x, GpuTensor) else x
