"""hubconf.py: another program uses the networks from any folder, whatever its own packages are called."""

import ast
import subprocess
import sys

import numpy as np
import pytest

import hubconf
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model import load_network
from tests.documents import ROOT

CLIP = {"seed": 5, "size": (64, 96), "length": 3, "objects": 2}
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
import torch

import model                                     # the program's own, before
checkout = sys.argv[1]
network = torch.hub.load(checkout, "compact", source="local")
segmenter = torch.hub.load(checkout, "segmenter", network, memory="lfu", frames=2, top_k=10, source="local")
import dataset, inference.video                  # the program's own, after

from adaptive_memory_vos.inference.session import Session

frames, first = np.load("frames.npy"), np.load("first.npy")
labels = [segmenter.labels(segmenter.step(frame, None if index else first)) for index, frame in enumerate(frames)]
np.save("labels.npy", labels)
assert [model.MINE, dataset.MINE, inference.video.MINE] == [1, 2, 3]
assert type(segmenter).__module__ == "adaptive_memory_vos.inference.segmenter"
here = Path(checkout).resolve()
for name, module in sys.modules.items():
    file = getattr(module, "__file__", None)
    inside = file is not None and here in Path(file).resolve().parents and ".venv" not in Path(file).parts
    assert not inside or name.startswith("adaptive_memory_vos."), f"{name} is {file}"
assert checkout not in sys.path
"""


@pytest.mark.slow
def test_a_program_of_another_folder_segments_a_clip_and_keeps_its_own_packages(tmp_path):
    for name, number in (("model", 1), ("dataset", 2), ("inference/video", 3)):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text(f"MINE = {number}\n")
    images, labels = map(list, zip(*SyntheticClip(**CLIP), strict=True))
    np.save(tmp_path / "frames.npy", images)
    np.save(tmp_path / "first.npy", labels[0])
    (tmp_path / "program.py").write_text(PROGRAM)
    subprocess.run([sys.executable, "program.py", str(ROOT)], cwd=tmp_path, check=True)

    segmenter = VideoSegmenter(load_network("compact"), build_memory("lfu", frames=2, top_k=10))
    expected = [segmenter.labels(segmenter.step(image, None if index else labels[0]))
                for index, image in enumerate(images)]
    found = np.load(tmp_path / "labels.npy")
    assert (found == expected).mean() > 0.999              # another number of threads may round differently
    assert set(np.unique(found)) == {0, 1, 2}


def test_import_statements_can_take_the_prefix():
    """`import model.network` would bind the name `model`, which no prefix can come before."""
    for package in hubconf.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name.split(".")[0] for alias in node.names] if isinstance(node, ast.Import) else []
                assert not set(names) & set(hubconf.PACKAGES), f"{path}: write `from ... import ...`"


def test_a_second_checkout_in_one_process_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, hubconf.PREFIX, type("Root", (), {"__path__": ["/elsewhere"]}))
    with pytest.raises(ImportError, match="one checkout of this repository per process, found /elsewhere"):
        hubconf.compact()
