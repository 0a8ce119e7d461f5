"""The network prepared for inference: batch norms folded, channels last, shared convolutions, one precision.

`prepare_for_inference(network)` computes what `network` computes, up to rounding. The network itself, in fp32 as it was
trained, is the oracle.
"""

import copy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.convolution.timings import Timings, cache_folder
from model.convolution.tuned import tune_convolutions
from model.network import STCN
from model.precision import PRECISIONS, resolve_precision
from model.shared_convolution import share_convolutions

M = TypeVar("M", bound=nn.Module)

FAST_PRECISIONS = ("fp32", "bf16", "fp16", "tf32")
SHAPES = 1024         # sizes of frames and numbers of objects for which a stage is compiled; PyTorch stops at 8


@torch.no_grad()
def prepare_for_inference(
    network: STCN, precision: str = "fp32", compiled: bool = False, tune: bool = False, in_place: bool = False
) -> STCN:
    """A faster copy of `network`, in evaluation mode. A network prepared in this precision is returned as it is; if it
    is to be compiled, compiled, with the same weights.

    Args:
        precision: "fp32", "bf16", "fp16", "tf32" (fp32 weights) or "auto", of weights and activations. Half-precision
        networks project keys in fp32, because squared distances lose too much in half precision.
        compiled: torch.compile the three stages, as CUDA graphs on a GPU. This takes a minute or more at the first
        frame of every size and number of objects.
        tune: on a CPU, measure which algorithm is the fastest for each convolution (`model.convolution`), once per
        machine: it takes some seconds at the first frame, and memory for transformed weights. A compiled network is not
        tuned.
        in_place: change `network` itself, which takes no memory for a second one.
    Raises ValueError for fp64, in which only the plain path runs, and for a network prepared in another precision.
    """
    precision = resolve_precision(precision, network.device)
    if precision not in FAST_PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(FAST_PRECISIONS)} to prepare a network in, found "
                         f"{precision}; the plain path, which needs no preparation, runs in fp64")
    prepared = getattr(network, "prepared", precision)
    if prepared != precision:
        raise ValueError(f"expected the network as it was loaded, found one prepared in {prepared} already")
    if hasattr(network, "prepared"):
        return _compiled(network) if compiled and not network.compiled else network
    fast = (network if in_place else copy.deepcopy(network)).eval().requires_grad_(False)
    own = {"fuse1": fast.value_encoder.trunk.widths[-1], "compress": network.config.value_dim}
    for module, block in ((fast.value_encoder, "fuse1"), (fast.decoder, "compress")):      # those that fuse features
        setattr(module, block, share_convolutions(getattr(module, block), own[block]))
    for trunk in (fast.key_encoder.trunk, fast.value_encoder.trunk):
        fold_batch_norms(trunk)
    in_layout(fast.to(PRECISIONS[precision]), torch.channels_last)
    unfolded = [module for module in fast.modules() if isinstance(module, nn.BatchNorm2d)]    # they precede a ReLU
    for module in (fast.key_encoder.key_projection, *unfolded):
        module.float()
    fast.prepared = precision
    if tune and not compiled and next(fast.parameters()).device.type == "cpu":
        tune_convolutions(fast, Timings(cache_folder()))
    return _compiled(fast) if compiled else fast


def in_layout(module: M, layout: torch.memory_format) -> M:
    """The module, its convolutions converted to a memory layout in place."""
    convert: Any = module.to          # the types of PyTorch 2.11 lack this form of it
    converted: M = convert(memory_format=layout)
    return converted


def _compiled(network: STCN) -> STCN:
    """A network of the same modules, whose stages are compiled."""
    import torch._dynamo  # takes seconds; needed by a compiled network alone

    limits = torch._dynamo.config
    limits.recompile_limit = max(limits.recompile_limit, SHAPES)
    limits.accumulated_recompile_limit = max(limits.accumulated_recompile_limit, SHAPES)
    compiled = copy.copy(network)
    mode = "reduce-overhead" if next(network.parameters()).is_cuda else "default"
    for stage in ("encode_key", "encode_value", "segment"):
        setattr(compiled, stage, torch.compile(getattr(network, stage), mode=mode, dynamic=False))
    compiled.compiled = True
    return compiled


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution registered before it (backbones register them in pairs)."""
    previous: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and previous is not None and isinstance(previous[1], nn.Conv2d):
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
        else:
            fold_batch_norms(child)
        previous = (name, child)
