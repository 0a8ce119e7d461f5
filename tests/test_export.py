"""Exported networks: the graphs compute what the network computes, for any number of objects; clear errors."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch

from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from inference.evaluation import run_settings
from inference.export.clip import clip_of
from inference.export.parity import TOLERANCE, ComparedNetwork, compare
from inference.memory import MemoryOptions
from inference.runtime import RuntimeOptions, load_for
from model import STCN, CheckpointError, ConfigError, NetworkConfig, load_network
from model.checkpoint import read_weights, weights_digest
from model.exported.manifest import MANIFEST, read_manifest
from model.exported.packages import PACKAGES
from model.exported.writing import new_export, write_graphs
from scripts import export
from tests.fixtures import TINY, relative_error
from tests.odd import davis, write_clip

SIZE = (48, 80)
RESNETS = {"key_backbone": "resnet18", "value_backbone": "resnet18", "norm": "frozen_batch", "block_norm": "none"}
PLAIN = NetworkConfig(**{**vars(TINY), **RESNETS, "mask_channels": 1})
CASES = [       # kinds and networks; OpenVINO's graphs are made of ONNX's
    ("torchscript", "tiny"), ("torchscript", "plain"),
    *(pytest.param(kind, name, marks=pytest.mark.slow)
      for kind, name in (("pt2", "tiny"), ("onnx", "tiny"), ("openvino", "plain"))),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_network, one_thread):
    """(kind, configuration) -> an exported folder, made once; the test is skipped if packages are missing."""
    torch.manual_seed(1)
    networks = {"tiny": tiny_network, "plain": STCN(PLAIN).eval()}

    def make(kind, name):
        for package in {package for side in PACKAGES[kind] for package in side}:
            pytest.importorskip(package, reason=f"the packages of requirements-export.txt are not here: {package}")
        folder = root / f"{kind}-{name}"
        if not folder.exists():
            with new_export(folder, overwrite=False) as partial:
                write_graphs(networks[name], kind, (SIZE[0] - 3, SIZE[1]), ("tiny.pth", "0"), partial, done=len)
        return networks[name], folder

    root = tmp_path_factory.mktemp("exported")
    return make


@pytest.fixture(scope="module")
def exported(folders):
    """A folder that needs no other package."""
    return folders("torchscript", "tiny")[1]


@pytest.mark.parametrize(("kind", "name"), CASES)
@torch.inference_mode()
def test_graphs_compute_what_the_network_computes(kind, name, folders):
    network, folder = folders(kind, name)
    loaded = load_network(folder)
    assert (loaded.size, loaded.config, loaded.device.type) == (SIZE, network.config, "cpu")
    generator = torch.Generator().manual_seed(0)
    for objects in (1, 3, 2, 1, 4):                     # in this order: a runtime may adapt to the first
        frame = torch.randn(1, 3, *SIZE, generator=generator)
        masks = torch.rand(1, objects, *SIZE, generator=generator) / objects
        features, found = network.encode_key(frame), loaded.encode_key(frame)
        for each, expected in vars(features).items():
            assert relative_error(getattr(found, each), expected) < 1e-4
        values = network.encode_value(frame, features.f16, masks)
        assert relative_error(loaded.encode_value(frame, features.f16, masks), values) < 1e-4
        others = masks.flip(1)
        values = network.encode_value(frame, features.f16, masks, others)
        assert relative_error(loaded.encode_value(frame, features.f16, masks, others), values) < 1e-4
        assert relative_error(loaded.segment(values, features), network.segment(values, features)) < 1e-4


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_segmenter_gives_the_same_masks(kind, name, folders):
    network, folder = folders(kind, name)
    clip = list(SyntheticClip(seed=0, size=(46, 78), length=4, objects=2))
    for at_once in (None, 1):
        of_network, of_export = (
            VideoSegmenter(each, build_memory("lfu", frames=2, top_k=5), 2, objects_at_once=at_once)
            for each in (network, load_network(folder))
        )
        for index, (frame, labels) in enumerate(clip):
            annotation = labels if index == 0 else None
            expected = of_network.step(frame, annotation)
            assert relative_error(of_export.step(frame, annotation), expected) < 1e-3


def test_a_frame_of_another_size_is_refused(exported):
    segmenter = VideoSegmenter(load_network(exported), build_memory("lfu"))
    frame = np.zeros((64, 90, 3), np.uint8)
    with pytest.raises(CheckpointError, match=r"expected frames of 48 x 80 .* found 64 x 96; export .* --size 64 96"):
        segmenter.step(frame, np.ones((64, 90), np.uint8))


@pytest.mark.parametrize(("options", "flag"), [
    ({"decode": "window"}, "--decode window"), ({"compile": True}, "--compile"), ({"precision": "bf16"}, "--precision"),
    ({"precision": "fp64"}, "--precision fp64"),
])
def test_options_that_need_layers_are_refused(options, flag, exported):
    with pytest.raises(ConfigError, match=f"{flag}.*: expected the layers .* found the exported one.*; omit {flag}"):
        load_for(RuntimeOptions(device="cpu", **options), exported)


def test_windows_are_refused_in_a_program(exported):
    with pytest.raises(ValueError, match="expected full for an exported network, found window"):
        VideoSegmenter(load_network(exported), build_memory("lfu"), decode="window")


def test_it_is_no_weights_file(exported):
    network = load_network(exported)
    with pytest.raises(CheckpointError, match=r"expected weights, found an exported network, .* tiny\.pth"):
        network.state_dict()
    with pytest.raises(CheckpointError, match="expected a weights file, found an exported network"):
        read_weights(exported)
    with pytest.raises(CheckpointError, match="expected the CPU for an exported network, found cuda"):
        load_network(exported, "cuda")
    with pytest.raises(CheckpointError, match="with 1 mask channels, found 2"):
        load_network(exported, mask_channels=1)


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def test_its_digest_depends_on_its_graphs(exported, copy):
    settings = run_settings("eval_davis", exported, [MemoryOptions()])
    assert settings["weights_sha256"] == weights_digest(copy)
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["files"][0]["sha256"] = "0"
    (copy / MANIFEST).write_text(json.dumps(manifest))
    assert settings["weights_sha256"] != weights_digest(copy)


def damaged_graph(folder):
    with open(folder / "value.pt", "r+b") as file:
        file.write(b"damage")


def missing_graph(folder):
    (folder / "value.pt").unlink()


def damaged_manifest(folder):
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:100])


def later_format(folder):
    (folder / MANIFEST).write_text(json.dumps(json.loads((folder / MANIFEST).read_text()) | {"format": 99}))


def unknown_kind(folder):
    (folder / MANIFEST).write_text(json.dumps(json.loads((folder / MANIFEST).read_text()) | {"kind": "paper"}))


@pytest.mark.parametrize(("damage", "words"), [
    (damaged_graph, r"value\.pt: expected the graph that export\.json lists, found a file that was changed"),
    (missing_graph, r"value\.pt: expected a file of an exported network \(No such file"),
    (damaged_manifest, r"export\.json: expected JSON, found a damaged file"),
    (later_format, r"export\.json: expected format 1 of exported networks, found 99"),
    (unknown_kind, r"export\.json\.kind: expected one of onnx, openvino, torchscript, pt2, found 'paper'"),
])
def test_a_damaged_folder_is_refused(damage, words, copy):
    damage(copy)
    with pytest.raises(CheckpointError, match=words):
        load_network(copy)


def test_a_missing_package_is_named(exported, copy, monkeypatch, weights, tmp_path, refused):
    (copy / MANIFEST).write_text(json.dumps(json.loads((copy / MANIFEST).read_text()) | {"kind": "onnx"}))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"expected the package onnxruntime, .*-r requirements-export\.txt"):
        load_network(copy)
    with refused("--to onnx: expected the package onnx, found that it is not installed"):
        export.main(["--weights", str(weights), "--to", "onnx", "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_only_an_exported_folder_is_replaced(copy, tmp_path):
    (tmp_path / "mine").mkdir()
    for folder, overwrite in ((tmp_path / "mine", True), (copy, False)):
        with pytest.raises(ConfigError, match="expected a new folder, found one"), new_export(folder, overwrite):
            pass
    with pytest.raises(ZeroDivisionError), new_export(copy, True) as partial:
        (partial / "key.pt").write_text(str(1 / 0))
    assert read_manifest(copy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "mine"]


@torch.inference_mode()
def test_parity_measures_the_largest_error_over_the_range(tiny_network, exported):
    compared = ComparedNetwork(tiny_network, load_network(exported))
    expected = torch.tensor([-3.0, 5.0])
    compared._compare("logits", torch.tensor([-3.0, 5.4]), expected)
    compared._compare("logits", torch.tensor([-3.0, 4.8]), expected)
    assert compared.found["logits"].error == pytest.approx(0.05)
    assert (compared.found["logits"].low, compared.found["logits"].high) == (-3, 5)
    compared._compare("logits", torch.tensor([torch.nan, 5]), expected)
    assert compared.found["logits"].error == torch.inf


def test_another_network_is_noticed(exported):
    torch.manual_seed(5)
    frames, labels, source = clip_of(None, SIZE, count=2)
    parity = compare(STCN(TINY).eval(), load_network(exported), frames, labels, source, done=len)
    assert parity.error > 10 * TOLERANCE
    assert parity.same_labels.keys() == {1, 3}


@pytest.mark.slow
def test_the_command_exports_and_an_evaluation_runs_it(weights, tmp_path, one_thread, refused, monkeypatch):
    write_clip(tmp_path, size=(46, 78))
    target = tmp_path / "torchscript"
    arguments = ["--weights", str(weights), "--size", "46", "78", "--to", "torchscript", "--output", str(target),
                 "--frames", "2"]
    export.main([*arguments, "--video", str(tmp_path / "DAVIS/JPEGImages/480p/cat")])
    parity = json.loads((target / "parity.json").read_text())
    assert parity["frames"] == "2 frames of cat"
    assert {tensor["name"] for tensor in parity["tensors"]} == {"key", "thin", "f16", "f8", "f4", "values", "logits"}
    assert parity["error"] < TOLERANCE
    readme = (target / "README.md").read_text()
    assert "| input | `readout` | [objects, 32, 3, 5] | float32 | any |" in readme
    with refused("expected a new folder, found one"):
        export.main(arguments)
    with refused("expected weights, found an exported network"):
        export.main(["--weights", str(target), "--to", "pt2", "--output", str(tmp_path / "again")])
    monkeypatch.setattr("inference.export.parity.TOLERANCE", -1)
    with refused("expected the graphs within -1 of PyTorch, found '.*' off by .*; nothing is written"):
        export.main([*arguments, "--overwrite"])
    assert json.loads((target / "parity.json").read_text()) == parity
    davis(tmp_path, weights, output=tmp_path / "expected")
    davis(tmp_path, target)
    for mask in (tmp_path / "expected/cat").iterdir():
        assert mask.read_bytes() == (tmp_path / "out/cat" / mask.name).read_bytes()
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert record["settings"]["weights_sha256"] == weights_digest(target)
