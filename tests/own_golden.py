"""Masks of the compact network on a generated clip, stored in `tests/golden`: they must stay what they are.

The reference outputs of the public STCN system lie beside a developer's checkout only. These lie in the repository, so
the comparison runs everywhere. They were computed by the plain path in float64. After a change that is meant to change
masks, write them again:

    python -m tests.own_golden
"""

import sys
from pathlib import Path

import numpy as np

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model import load_network

FOLDER = Path(__file__).resolve().parent / "golden"
CLIP = SyntheticClip(seed=21, size=(96, 128), length=14, objects=3, late=5)
BANKS = {"every_k": {}, "lfu": {"frames": 2, "top_k": 20}}


def propagate(bank: str, precision: str) -> dict[str, np.ndarray]:
    """A video through a bank that stores every second frame; the third object is given at frame 5.

    `labels` [T, H, W] uint8; `areas` [T, 3], the mean probability of each object, 0 before it appears; `held` [T]
    frames held; `written` [entries] the frame that each entry held at the end comes from, ascending; `colors` [T] mean
    of each frame, which tells whether the generated clip is the same.
    """
    memory = build_memory(bank, **BANKS[bank])
    segmenter = VideoSegmenter(load_network("compact"), memory, memory_every=2, precision=precision)
    labels, areas, held, colors = [], np.zeros((len(CLIP), CLIP.objects)), [], []
    for t, (image, truth) in enumerate(CLIP):
        annotation = {0: np.where(truth == 3, 0, truth), 5: np.where(truth == 3, truth, 0)}.get(t)
        probabilities = segmenter.step(image, annotation)
        labels.append(segmenter.labels(probabilities))
        areas[t, :len(probabilities) - 1] = probabilities[1:].double().mean((1, 2)).cpu()
        held.append(memory.frames_held)
        colors.append(image.mean())
    written = np.sort(memory.entries.written.numpy())
    return {"labels": np.stack(labels), "areas": areas, "held": np.array(held), "written": written.astype(np.int16),
            "colors": np.array(colors)}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for bank in BANKS:
        path = FOLDER / f"compact_{bank}.npz"
        np.savez_compressed(path, **propagate(bank, "fp64"))
        print(f"wrote {path}, {path.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
