"""README.md and parity.json of an exported folder."""

import json
from dataclasses import asdict
from pathlib import Path

from inference.export.parity import Parity
from model.exported.graphs import STAGES, TensorInfo, signatures
from model.exported.manifest import MANIFEST, Manifest
from model.normalization import IMAGE_MEAN, IMAGE_STD

_DOES = {
    "key": "the key and the features of a frame", "value": "what the memory stores of a frame, per object",
    "segment": "the mask of each object, as logits before the sigmoid",
}
_PARTS = {False: "They compute in float32.", True: "`value` and `segment` compute in 8-bit integers, `key` in float32."}


def write_readme(folder: Path, manifest: Manifest, parity: Parity) -> None:
    """Write both files. They are no part of the manifest: they depend on the clip that was compared."""
    report = {"error": parity.error, **asdict(parity)}
    (folder / "parity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    parts = [_about(manifest), *_graphs(manifest, parity), _parity(parity)]
    (folder / "README.md").write_text("\n".join(parts), encoding="utf-8")


def _about(manifest: Manifest) -> str:
    height, width = manifest.size
    return f"""# {manifest.weights}, exported as {manifest.kind}

Three graphs of one network for video object segmentation, for frames of {height} x {width} pixels (height x width).

Made with {manifest.made_with}. `{MANIFEST}` lists the files with their checksums.

{_PARTS[manifest.int8]}

All tensors are float32. `frame` is RGB / 255, minus the mean {IMAGE_MEAN}, divided by the standard
deviation {IMAGE_STD}. A smaller frame is then padded with zeros, evenly on both sides. `objects` is the
number of objects, which may differ at every call. The memory bank, which reads the values of earlier frames by their
keys, is not in the graphs.

```python
from inference import VideoSegmenter, build_memory
from model import load_network

segmenter = VideoSegmenter(load_network("DIR"), build_memory("lfu", frames=2))     # DIR: this folder
```
"""


def _graphs(manifest: Manifest, parity: Parity) -> list[str]:
    """A section with the tensors of each graph."""
    seen = {tensor.name: f"{tensor.low:.4g} to {tensor.high:.4g}" for tensor in parity.tensors}
    given = signatures(manifest.network, manifest.size)
    parts = []
    for stage in STAGES:
        parts += [f"## `{manifest.graph(Path(), stage)}`: {_DOES[stage]}", "",
                  "| | tensor | shape | dtype | range | seen |", "|---|---|---|---|---|---|"]
        for side, tensors in zip(("input", "output"), given[stage], strict=True):
            parts += [_row(side, tensor, seen.get(tensor.name, "")) for tensor in tensors]
        parts.append("")
    notes = {"readout": "`readout` is what the memory bank reads of the stored `values`: a weighted mean."}
    if manifest.network.mask_channels == 2:
        notes["others"] = "`others` is, of each object, the sum of the masks of all other objects."
    return [*parts, *notes.values(), ""]


def _row(side: str, tensor: TensorInfo, seen: str) -> str:
    shape = ", ".join(map(str, tensor.shape))
    return f"| {side} | `{tensor.name}` | [{shape}] | {tensor.dtype} | {tensor.range} | {seen} |"


def _parity(parity: Parity) -> str:
    rows = "\n".join(f"| `{tensor.name}` | {tensor.error:.1e} |" for tensor in parity.tensors)
    labels = ", ".join(f"{share:.3%} with {objects}" for objects, share in parity.same_labels.items())
    return f"""## Agreement with PyTorch

Compared on {parity.frames}. The error is the largest difference of a frame from the network as it was trained, in
PyTorch and fp32, relative to the range (maximum minus minimum) of PyTorch's tensor; {parity.tolerance:g} is allowed.

| output | largest error |
|---|---|
{rows}

Labels, if each network segments the clip by itself: the same for this share of the pixels, by number of objects:
{labels}.
"""
