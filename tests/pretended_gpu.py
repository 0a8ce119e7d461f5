"""A pretended GPU: tensors that say they are on `cuda` and hold their values on the CPU.

Inside `with pretended_gpu() as gpu` tensors can be moved to `cuda`, `cuda:0` and `cuda:1`. They compute what a CPU
computes, but behave like those of a GPU in three ways:
- Tensors of different devices cannot be mixed, except for numbers (tensors without dimensions from the CPU).
- `gpu.waits` counts the places where the host would wait for the GPU.
- A copy to the host that does not block arrives when an event is synchronized that was recorded on the same device.
Backward cannot be pretended: the engine of autograd asks the driver. Nor can what a compiler or a kernel does.
"""

import functools
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from model import normalization
from tests.gpu_tensor import GpuTensor, each_tensor, values_of

ROOT = Path(__file__).resolve().parents[1]
OWN_FOLDERS = ("model", "dataset", "inference", "scripts")
# operations whose result's size depends on values, or that return a value to Python
DATA_DEPENDENT = {
    "_local_scalar_dense", "_unique2", "bincount", "equal", "is_nonzero", "masked_select", "nonzero",
    "repeat_interleave", "unique_consecutive", "unique_dim",
}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}
NO_NUMBERS = {"cat", "stack", "index_select", "index_add_", "index_copy_", "gather", "scatter_", "mm", "bmm"}


@dataclass(frozen=True)
class Wait:
    """The host waits for the GPU: where in the repository, and why."""

    place: str
    what: str


class PretendedGpu(TorchDispatchMode):
    """Runs every operation on the values held; `waits` counts where the host waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[Wait] = Counter()
        self.coming: dict[torch.device, list[tuple[Tensor, Tensor]]] = {}     # copies to the host: (target, values)

    def note(self, what: str) -> None:
        self.waits[Wait(_place(), what)] += 1

    def arrive(self, device: torch.device, copies: int | None = None) -> None:
        """The first `copies` copies (None: all) from `device` to the host are complete."""
        coming = self.coming.get(device, [])
        for target, values in coming[:copies]:
            target.copy_(values)
        self.coming[device] = coming[len(coming) if copies is None else copies :]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.split("::")[1]
        if name == "is_pinned":
            return False
        if name in ("pin_memory", "_pin_memory"):
            return args[0]
        if torch.is_inference_mode_enabled() and func.has_kernel_for_dispatch_key(
            torch._C.DispatchKey.CompositeImplicitAutograd
        ):
            with self:
                return func.decompose(*args, **kwargs)
        tensors: list[Tensor] = []
        each_tensor([args, kwargs], tensors.append)
        devices = {x.device for x in tensors if isinstance(x, GpuTensor)}
        if devices and name not in ("_to_copy", "copy_"):
            _refuse_mixtures(name, tensors, devices)
        self._note_waits(name, args, kwargs, bool(devices))
        if name == "copy_" and isinstance(args[1], GpuTensor) and not isinstance(args[0], GpuTensor):
            return self._copy_to_host(*args)
        target = _device_of_result(name, args, kwargs, devices)
        return _computed(func, args, kwargs, target)

    def _note_waits(self, name: str, args: Any, kwargs: Any, on_gpu: bool) -> None:
        if name in DATA_DEPENDENT and on_gpu:
            self.note(name)
        elif name == "_to_copy":
            target = kwargs.get("device") or args[0].device
            if torch.device(target).type != args[0].device.type and not kwargs.get("non_blocking"):
                self.note(f"copy from {args[0].device.type}")
        elif name == "copy_" and args[0].device.type != args[1].device.type and not any(args[2:]):
            self.note(f"copy from {args[1].device.type}")
        elif name in INDEXING and isinstance(args[0], GpuTensor):
            indices = [index for index in args[1] if index is not None]
            number = name != "index" and not isinstance(args[2], GpuTensor)
            by_mask = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
            if by_mask and not number:                          # a number by a mask is a masked_fill
                self.note("indexed by a mask")
            elif number and not by_mask:
                self.note("a number assigned to rows")
            if any(not isinstance(index, GpuTensor) for index in indices):
                self.note("indexed from the host")

    def _copy_to_host(self, target: Tensor, source: GpuTensor, non_blocking: bool = False) -> Tensor:
        with torch._C._DisableTorchDispatch():
            self.coming.setdefault(source.device, []).append((target, source.held.clone()))
            target.fill_(99)                                    # what is there until the copy arrives
            if not non_blocking:
                self.arrive(source.device)
        return target


class _Stream:
    def __init__(self, device: torch.device | str | None = None) -> None:
        self.device = _indexed(torch.device(device or "cuda:0"))


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """A machine with two pretended GPUs, of which cuda:0 is the current one."""
    gpu = PretendedGpu()

    class Event:
        """As torch.cuda.Event. Without a stream it is recorded on that of the current device."""

        def record(self, stream: _Stream | None = None) -> None:
            self.device = (stream or _Stream()).device
            self.copies = len(gpu.coming.get(self.device, []))

        def synchronize(self) -> None:
            gpu.note("event")
            with torch._C._DisableTorchDispatch():
                gpu.arrive(self.device, self.copies)

    with ExitStack() as stack:
        for owner, name, value in (
            (torch.cuda, "Event", Event), (torch.cuda, "current_stream", _Stream),
            (torch.cuda, "set_device", lambda device: None), (torch.cuda, "manual_seed_all", lambda seed: None),
            (torch, "load", _without_modes(torch.load)), (torch, "save", _without_modes(torch.save)),
        ):
            stack.enter_context(patch.object(owner, name, value))
        stack.callback(normalization._statistics.cache_clear)         # it holds tensors of the pretended GPU
        torch.__future__.set_swap_module_params_on_conversion(True)         # modules then hold these very tensors
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, False)
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))      # a CPU has none of its operations
        # PyTorch does not look for a driver while fake tensors are made; none is made here
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield stack.enter_context(gpu)


def _without_modes(function: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        with _disable_current_modes():
            return function(*args, **kwargs)

    return call


def _refuse_mixtures(name: str, tensors: list[Tensor], devices: set[torch.device]) -> None:
    """As PyTorch does. Indices may come from the host, which makes the host wait."""
    host = [x for x in tensors if not isinstance(x, GpuTensor)]
    allowed = name in INDEXING and isinstance(tensors[0], GpuTensor) and all(not x.is_floating_point() for x in host)
    if len(devices) > 1 or (any(x.dim() for x in host) and not allowed) or (host and name in NO_NUMBERS):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, found "
                           f"{[(tuple(x.shape), str(x.device)) for x in tensors]}")


def _device_of_result(name: str, args: Any, kwargs: Any, devices: set[torch.device]) -> torch.device:
    device = kwargs.get("device")
    if device is not None:
        return _indexed(torch.device(device))
    if name in ("_to_copy", "copy_"):
        return args[0].device
    return next(iter(devices), torch.device("cpu"))


def _computed(func: Any, args: Any, kwargs: Any, target: torch.device) -> Any:
    """The result on `target`. An operation that changes its arguments returns these."""
    kwargs = kwargs | ({"device": torch.device("cpu")} if kwargs.get("device") is not None else {})
    kwargs.pop("pin_memory", None)
    values, named = each_tensor(args, values_of), each_tensor(kwargs, values_of)
    with torch._C._DisableTorchDispatch():
        result = func(*values, **named)
    if func._schema.is_mutable:
        changed = [
            args[i] if i < len(args) else kwargs.get(argument.name)
            for i, argument in enumerate(func._schema.arguments) if argument.alias_info and argument.alias_info.is_write
        ]
        return None if not func._schema.returns else changed[0] if len(changed) == 1 else tuple(changed)
    if func._schema.name == "aten::_to_copy" and result.data_ptr() == values[0].data_ptr():
        result = result.clone()                                 # a copy between devices shares nothing
    if target.type == "cpu":
        return result
    # a view of an ordinary tensor is one also in inference mode
    inference = torch.is_inference_mode_enabled() and (not func.is_view or args[0].is_inference())
    with torch.inference_mode(inference) if torch.is_inference_mode_enabled() else nullcontext():
        return each_tensor(result, lambda x: GpuTensor(x, target))


def _indexed(device: torch.device) -> torch.device:
    return torch.device("cuda:0") if device == torch.device("cuda") else device


def _place() -> str:
    """The innermost line of the repository's code on the stack."""
    frame = sys._getframe()
    while frame is not None:
        if file := _own_file(frame.f_code.co_filename):
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"


@functools.cache
def _own_file(name: str) -> str | None:
    """The path of a file of the repository below its root; None for all others."""
    path = Path(name)
    own = path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OWN_FOLDERS
    return str(path.relative_to(ROOT)) if own else None
