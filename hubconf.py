"""The networks and the segmenter for other programs, by torch.hub:

    network = torch.hub.load("path/to/this/checkout", "compact", source="local")
    segmenter = torch.hub.load("path/to/this/checkout", "segmenter", network, memory="lfu", source="local")

Nothing has to be installed, and the current folder may be any. The packages of this repository have common names:
`model`, `dataset`, `inference`. A program may have packages of the same names, so these are imported under another one,
`adaptive_memory_vos.model` and so on, in three steps: a finder looks for names that begin with `adaptive_memory_vos.`
in this folder; a loader puts this prefix before the name of each of our packages in the import statements of a file as
it loads it; Python does the rest. So neither program sees the packages of the other, whichever is imported first. After
the first call, `from adaptive_memory_vos.inference.session import Session` works, and so does the rest of
docs/PYTHON.md with that prefix. Do not mix both names in one process: the classes are not the same.
"""

import ast
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.segmenter import VideoSegmenter
    from model.network import STCN

dependencies = ["torch", "torchvision", "numpy", "cv2", "PIL", "tqdm", "yaml"]       # torch.hub checks these
PREFIX = "adaptive_memory_vos"
PACKAGES = ("model", "dataset", "inference")
_HERE = str(Path(__file__).resolve().parent)


def compact(device: str = "cpu") -> "STCN":
    """The small network that comes with the repository, in evaluation mode (weights/README.md)."""
    return stcn("compact", device)


def stcn(weights: str | Path, device: str = "cpu") -> "STCN":
    """A network from a weights file, in evaluation mode.

    Args:
        weights: a published STCN checkpoint (stcn.pth), or weights of train.py. device: "cpu", "cuda", ...
    Raises CheckpointError, a ValueError, if the file is missing, damaged, or of another architecture.
    """
    network: STCN = _imported("model").load_network(weights, device)
    return network


def segmenter(
    network: "STCN | str | Path" = "compact", memory: str = "lfu", frames: int | None = None, memory_every: int = 5,
    device: str = "cpu", precision: str = "fp32", decode: str = "full", **bank: Any,
) -> "VideoSegmenter":
    """A segmenter for one video at a time: `segmenter.step(frame, annotation)`, `segmenter.labels(probabilities)`.

    Args:
        network: a network of this repository, which stays on its device, or a weights file to load on `device`.
        memory: the memory bank. frames: its capacity; None: the bank's default. bank: further options of the bank, such
        as top_k=20 and index="softmax".
        memory_every, precision, decode: as for VideoSegmenter (docs/PYTHON.md).
    Raises MemoryConfigError and CheckpointError, both ValueErrors, for options and weights that cannot be used.
    """
    network = stcn(network, device) if isinstance(network, str | Path) else network
    inference = _imported("inference")
    made: VideoSegmenter = inference.VideoSegmenter(
        network, inference.build_memory(memory, frames, **bank), memory_every, precision, decode=decode)
    return made


class _Prefixed(ast.NodeTransformer):
    """`from model.network import STCN` becomes `from adaptive_memory_vos.model.network import STCN`."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.level == 0 and node.module and node.module.split(".")[0] in PACKAGES:
            node.module = f"{PREFIX}.{node.module}"
        return node


class _Loader(SourceFileLoader):
    """Compiles a file with prefixed imports, inside functions too; the bytecode stored for the plain names stays."""

    def get_code(self, fullname: str) -> CodeType:
        tree = _Prefixed().visit(ast.parse(self.get_data(self.path), self.path))
        return compile(tree, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    """Finds the modules of PACKAGES below PREFIX, and no others."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parts = fullname.split(".")
        if parts[0] != PREFIX or len(parts) < 2 or parts[1] not in PACKAGES:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def _imported(package: str) -> ModuleType:
    """One of PACKAGES under its prefixed name. Raises ImportError if another checkout took the name before."""
    root = sys.modules.get(PREFIX)
    if root is None:
        root = sys.modules[PREFIX] = ModuleType(PREFIX, __doc__)
        root.__path__ = [_HERE]
        sys.meta_path.insert(0, _Finder())
    if list(root.__path__) != [_HERE]:
        raise ImportError(f"{_HERE}: expected one checkout of this repository per process, found {root.__path__[0]} "
                          "loaded before; use one of the two")
    return importlib.import_module(f"{PREFIX}.{package}")
