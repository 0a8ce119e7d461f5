"""Exports whose decoder and value encoder compute in 8-bit integers."""

import json

import pytest
import torch

from dataset.synthetic import make_davis
from inference.export.parity import TOLERANCE
from model import STCN, NetworkConfig, load_network
from model.checkpoint import save_network
from scripts import export
from tests.fixtures import TINY
from tests.test_export import RESNETS

NETWORK = NetworkConfig(**{**vars(TINY), **RESNETS})


@pytest.mark.slow
def test_decoder_and_value_encoder_in_8_bit_integers(weights, tmp_path, one_thread, refused, capsys):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"the packages of requirements-export.txt are not here: {package}")
    make_davis(tmp_path / "DAVIS", sequences={"train": 2}, frames=11, size=(46, 78), progress=False)
    torch.manual_seed(1)
    save_network(tmp_path / "plain.pth", STCN(NETWORK).eval())

    def run(file, sequence, kind="onnx"):
        export.main(["--weights", str(file), "--size", "46", "78", "--frames", "2", "--to", kind, "--output",
                     str(tmp_path / "int8"), "--int8", str(tmp_path / "DAVIS"), "--int8-sequences", "clip-000",
                     sequence])

    for arguments, words in (((weights, "clip-001", "pt2"), "--int8: expected --to onnx, found --to pt2"),
                             ((weights, "clip-001"), "--int8: expected a network without group norms"),
                             ((weights, "boat"), "train.txt: .*boat")):
        with refused(words):
            run(*arguments)
    run(tmp_path / "plain.pth", "clip-001")
    assert "onnx, int8, largest error" in capsys.readouterr().out
    assert load_network(tmp_path / "int8").manifest.int8
    parity = json.loads((tmp_path / "int8/parity.json").read_text())
    errors = {tensor["name"]: tensor["error"] for tensor in parity["tensors"]}
    assert all(errors[name] < TOLERANCE for name in ("key", "thin", "f16", "f8", "f4"))       # they stay in fp32
    assert all(TOLERANCE < errors[name] < parity["tolerance"] for name in ("values", "logits"))
    assert "`value` and `segment` compute in 8-bit integers" in (tmp_path / "int8/README.md").read_text()
