"""Precisions by name: what they become on a device, whether it computes or emulates them, and what fp32 means."""

import functools
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

Function = TypeVar("Function", bound=Callable[..., Any])

PRECISIONS = {
    "fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "tf32": torch.float32, "fp64": torch.float64,
}
SLOWER = 10      # times as slow as fp32: bf16 on a CPU without units for it (docs/SPEED.md)
_CPU_INFO = Path("/proc/cpuinfo")
_X86_BF16 = {"avx512_bf16", "amx_bf16"}
_X86_FP16 = {"avx512_fp16", "amx_fp16"}
_ISA_WITHOUT_HALF = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI"}


def resolve_precision(name: str, device: torch.device) -> str:
    """What the precision `name` becomes on `device`.

    "auto" becomes bf16 if the device computes it natively, otherwise fp32. "tf32" becomes fp32, with a warning, on a
    device without it. All others stay; a warning says how slow it is if the device emulates the precision.
    """
    if name == "auto":
        return "bf16" if native_bf16(device) else "fp32"
    if name == "tf32" and not native_tf32(device):
        warnings.warn(f"precision tf32: {device} has none, so this is fp32", stacklevel=1)
        return "fp32"
    if (name == "bf16" and not native_bf16(device)) or (name == "fp16" and not native_fp16(device)):
        slower = f"about {SLOWER} times" if device.type == "cpu" else "several times"
        warnings.warn(f"precision {name}: {device} emulates it, which is {slower} slower than fp32; precision auto "
                      "chooses the fast one", stacklevel=1)
    return name


def describe_auto(became: str, device: torch.device) -> str:
    """One line: what "auto" became."""
    return f"precision auto: {became}, since {device} {'computes' if native_bf16(device) else 'emulates'} bf16"


def native_bf16(device: torch.device) -> bool:
    """Whether the device has units for bf16. Of Apple's GPUs (mps) nothing is known, so it is False."""
    if device.type == "cpu":
        flags = cpu_flags()
        return "bf16" in flags or bool(_X86_BF16 & flags)          # "bf16" alone is ARM's
    if device.type == "cuda" and torch.cuda.is_available():
        with torch.cuda.device(device):
            return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "xpu" and torch.xpu.is_available():
        with torch.xpu.device(device):
            return torch.xpu.is_bf16_supported(including_emulation=False)
    return False


def native_fp16(device: torch.device) -> bool:
    """Whether the device has units for fp16, as every GPU has."""
    return device.type != "cpu" or bool(_X86_FP16 & cpu_flags())


def native_tf32(device: torch.device) -> bool:
    """Whether the device has units for TF32: NVIDIA GPUs that compute bf16 natively."""
    return device.type == "cuda" and not torch.version.hip and native_bf16(device)


def cpu_flags() -> set[str]:
    """What the CPU can do, in Linux's words, without what ONEDNN_MAX_CPU_ISA and ATEN_CPU_CAPABILITY exclude."""
    try:
        lines = _CPU_INFO.read_text().splitlines()
        flags = {flag for line in lines if line.lower().startswith(("flags", "features")) for flag in line.split()}
    except OSError:                                    # not Linux: what PyTorch knows of x86
        known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        flags = {name for name, has in known.items() if has is True and name.startswith(("avx", "amx"))}
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()
    if isa in _ISA_WITHOUT_HALF or os.environ.get("ATEN_CPU_CAPABILITY", "").lower() in ("default", "avx2"):
        flags -= _X86_BF16 | _X86_FP16
    return flags


@contextmanager
def float32_products(precision: str) -> Iterator[None]:
    """Inside, products of float32 numbers are exact on NVIDIA GPUs too; with "tf32" convolutions use TF32.

    PyTorch lets convolutions use TF32 by default. Matrix products stay exact with "tf32" as well: the largest is
    that of matching, whose squared distances need their digits. Other devices know no TF32.
    """
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    before = cudnn.conv.fp32_precision == "tf32", matmul.fp32_precision == "tf32"
    _allow_tf32(precision == "tf32", False)
    try:
        yield
    finally:
        _allow_tf32(*before)


def in_own_precision(method: Function) -> Function:
    """A method of an object with a `precision`, run within `float32_products` of it."""
    @functools.wraps(method)
    def run(self: Any, *arguments: Any, **options: Any) -> Any:
        with float32_products(self.precision):
            return method(self, *arguments, **options)
    return run      # type: ignore[return-value]


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision and integers become float32; float64 stays."""
    return x if x.dtype == torch.float64 else x.float()


def supported_dtype(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """`dtype`, but float32 for float64 on devices without it: Apple's GPUs and some of Intel's."""
    if dtype != torch.float64 or device.type not in ("mps", "xpu"):
        return dtype
    has_float64 = device.type == "xpu" and bool(torch.xpu.get_device_properties(device).has_fp64)
    return torch.float64 if has_float64 else torch.float32


def _allow_tf32(convolutions: bool, products: bool) -> None:
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    for owner, setting, wanted in ((cudnn, cudnn.conv, convolutions), (matmul, matmul, products)):
        if (setting.fp32_precision == "tf32") != wanted:
            owner.allow_tf32 = wanted                      # sets PyTorch's older and newer interface alike
        if (setting.fp32_precision == "tf32") != wanted:   # torch.backends.fp32_precision is inherited: only the newer
            setting.fp32_precision = "tf32" if wanted else "ieee"
