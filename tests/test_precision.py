"""Precisions: what "auto" becomes, the warning for emulated ones, what is recorded, and that fp32 means fp32."""

import json
import warnings
from contextlib import nullcontext

import pytest
import torch
import yaml

import eval_davis
from dataset.synthetic import make_davis
from dataset.synthetic_clip import SyntheticClip
from inference import VideoSegmenter, build_memory
from model.objective import ObjectiveConfig
from model.precision import float32_products, native_bf16, resolve_precision
from model.storage import read_file
from model.training.config import TrainingConfig
from model.training.trainer import Trainer
from scripts import benchmark, segment_video
from tests.training import train_stage, write_tiny_stage

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")
WITH_UNITS, WITHOUT_UNITS = "flags\t: fpu avx2 avx512f avx512_bf16\n", "flags\t: fpu avx2\n"


@pytest.fixture
def simulated(monkeypatch, tmp_path):
    """A CPU with these lines in /proc/cpuinfo, and these limits in the environment."""
    def simulate(lines: str, **limits: str) -> None:
        (tmp_path / "cpuinfo").write_text(lines)
        monkeypatch.setattr("model.precision._CPU_INFO", tmp_path / "cpuinfo")
        for name in LIMITS:
            monkeypatch.delenv(name, raising=False)
        for name, value in limits.items():
            monkeypatch.setenv(name, value)
    return simulate


@pytest.fixture
def simulated_gpu(monkeypatch):
    """A GPU that computes bf16 natively, or emulates it."""
    def simulate(native: bool) -> None:
        supported = lambda including_emulation=True: including_emulation or native     # noqa: E731
        monkeypatch.setattr("torch.cuda.is_available", lambda: True)
        monkeypatch.setattr("torch.cuda.device", lambda device: nullcontext())
        monkeypatch.setattr("torch.cuda.is_bf16_supported", supported)
    return simulate


@pytest.mark.parametrize(("lines", "limits", "became"), [
    (WITH_UNITS, {}, "bf16"),
    ("flags : fpu amx_tile amx_bf16\n", {}, "bf16"),
    ("Features : fp asimd bf16\n", {}, "bf16"),                 # ARM
    (WITHOUT_UNITS, {}, "fp32"),
    ("processor : 0\n", {}, "fp32"),
    (WITH_UNITS, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "fp32"),
    (WITH_UNITS, {"ONEDNN_MAX_CPU_ISA": "avx512_core"}, "fp32"),
    (WITH_UNITS, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "bf16"),
    (WITH_UNITS, {"ATEN_CPU_CAPABILITY": "avx2"}, "fp32"),
    (WITH_UNITS, {"ATEN_CPU_CAPABILITY": "avx512"}, "bf16"),
])
def test_auto_on_a_cpu_is_bf16_if_it_has_units_that_may_be_used(lines, limits, became, simulated):
    simulated(lines, **limits)
    assert resolve_precision("auto", CPU) == became


@pytest.mark.parametrize(("native", "became"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_gpu_is_bf16_if_it_is_not_emulated(native, became, simulated_gpu):
    simulated_gpu(native)
    assert resolve_precision("auto", GPU) == became


def test_auto_on_other_accelerators_is_fp32_unless_they_say_otherwise(monkeypatch):
    assert not native_bf16(torch.device("mps"))
    assert resolve_precision("auto", torch.device("xpu", 0)) == "fp32"
    monkeypatch.setattr("torch.xpu.is_available", lambda: True)
    monkeypatch.setattr("torch.xpu.device", lambda device: nullcontext())
    monkeypatch.setattr("torch.xpu.is_bf16_supported", lambda including_emulation=True: True)
    assert resolve_precision("auto", torch.device("xpu", 0)) == "bf16"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_an_emulated_precision_is_used_after_a_warning_that_says_how_slow_it_is(precision, simulated):
    simulated(WITHOUT_UNITS)
    with pytest.warns(UserWarning, match=f"precision {precision}: cpu emulates it, which is about 10 times slower"):
        assert resolve_precision(precision, CPU) == precision
    simulated("flags : avx512_bf16 avx512_fp16\n")
    with warnings.catch_warnings(action="error"):
        assert resolve_precision(precision, CPU) == precision


def test_gpus_compute_fp16_and_say_if_they_emulate_bf16(simulated_gpu):
    simulated_gpu(native=False)
    with pytest.warns(UserWarning, match="precision bf16: cuda:0 emulates it, which is several times slower"):
        assert resolve_precision("bf16", GPU) == "bf16"
    with warnings.catch_warnings(action="error"):
        assert resolve_precision("fp16", GPU) == "fp16"


def test_tf32_is_fp32_on_devices_without_it(simulated_gpu):
    with pytest.warns(UserWarning, match="precision tf32: cpu has none, so this is fp32"):
        assert resolve_precision("tf32", CPU) == "fp32"
    simulated_gpu(native=True)
    assert resolve_precision("tf32", GPU) == "tf32"


# what is recorded

@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    root = tmp_path_factory.mktemp("DAVIS")
    make_davis(root, sequences={"train": 1, "val": 1}, frames=3, size=(48, 70), progress=False)
    return root


def test_a_run_records_what_auto_became_and_resumes_with_that(davis, weights, tmp_path, capsys, simulated):
    def evaluate(precision: str) -> str:
        eval_davis.main(["--davis-root", str(davis), "--weights", str(weights), "--output", str(tmp_path / "out"),
                         "--device", "cpu", "--no-score", "--precision", precision])
        return json.loads((tmp_path / "out/run.json").read_text())["settings"]["precision"]

    simulated(WITHOUT_UNITS)
    assert evaluate("auto") == "fp32"
    assert "precision auto: fp32, since cpu emulates bf16\n" in capsys.readouterr().out
    assert evaluate("fp32") == "fp32"                              # the same run: it resumes
    simulated(WITH_UNITS)
    with pytest.raises(SystemExit, match="2"):
        evaluate("auto")
    assert "expected precision='bf16' as in this command, found 'fp32'" in capsys.readouterr().err


def test_auto_is_the_default_of_videos_and_training_but_not_of_evaluations():
    assert segment_video.parser()._option_defaults["precision"] == "auto"
    assert TrainingConfig().precision == "auto"
    assert eval_davis.parser()._option_defaults["precision"] == "fp32"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    return write_tiny_stage(tmp_path_factory.mktemp("training"))


@pytest.mark.slow
def test_a_resumed_training_keeps_its_precision_unless_told_otherwise(stage, tmp_path, simulated, capsys):
    def train(iterations: int, *more: str) -> tuple[str, str]:
        train_stage(stage, tmp_path / "run", "--resume", "auto", "--set", f"training.iterations={iterations}", *more)
        checkpoint = read_file(tmp_path / f"run/checkpoints/iteration_{iterations:07d}.pth")
        recorded = yaml.safe_load((tmp_path / "run/config.yaml").read_text())
        assert f"cpu in {recorded['training']['precision']}, to" in capsys.readouterr().out
        return recorded["training"]["precision"], checkpoint["training"]["config"]["training"]["precision"]

    simulated(WITHOUT_UNITS)
    assert train(1, "training.precision=auto") == ("fp32", "fp32")
    simulated(WITH_UNITS)
    assert train(2, "training.precision=auto") == ("fp32", "fp32")
    assert train(3, "training.precision=bf16") == ("bf16", "bf16")


# fp32 means fp32

def _allowed() -> tuple[bool, bool]:
    """Whether TF32 is allowed in convolutions and in matrix products, as PyTorch reads its settings."""
    return torch.backends.cudnn.conv.fp32_precision == "tf32", torch.backends.cuda.matmul.fp32_precision == "tf32"


@pytest.fixture
def tf32_allowed(monkeypatch):
    """PyTorch's settings of a program that allows TF32, and a record of what they are in each convolution."""
    before, seen, convolve = _allowed(), [], torch.nn.functional.conv2d

    def watched(*arguments, **options):
        seen.append(_allowed())
        return convolve(*arguments, **options)

    monkeypatch.setattr("torch.nn.functional.conv2d", watched)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, True
    yield seen
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("bf16", False), ("tf32", True)])
@pytest.mark.parametrize("decode", ["full", "window"])
def test_a_segmenter_computes_in_its_precision_whatever_the_program_allows(
    precision, allowed, decode, tiny_network, tf32_allowed, monkeypatch
):
    monkeypatch.setattr("model.precision.native_tf32", lambda device: True)
    clip = SyntheticClip(seed=1, size=(48, 64), length=3, objects=1)
    segmenter = VideoSegmenter(tiny_network, build_memory("lfu"), 1, precision, decode=decode)
    for index in range(3):
        frame, labels = clip.frame(index)
        segmenter.step(frame, labels if index == 0 else None)
    segmenter.encode(frame)
    assert set(tf32_allowed) == {(allowed, False)}
    assert _allowed() == (True, True)                              # afterwards the program's settings are back


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True)])
def test_training_computes_in_its_precision(precision, allowed, tiny_network, tf32_allowed, tmp_path, monkeypatch):
    monkeypatch.setattr("model.precision.native_tf32", lambda device: True)
    backward = []
    monkeypatch.setattr("model.training.trainer.clip_loss", _loss_that_watches(backward))
    config = TrainingConfig(iterations=1, batch_size=1, workers=0, precision=precision)
    trainer = Trainer(tiny_network, _Samples(), config, ObjectiveConfig(), tmp_path, CPU, {})
    trainer.run()
    assert backward == [(allowed, False)]
    assert trainer.description == {"training": {"precision": precision}}
    assert _allowed() == (True, True)


def _loss_that_watches(seen):
    def loss(network, frames, *_):
        masks = network.encode_key(frames.flatten(0, 1)).f4[None, :2, :2].sigmoid()
        total = masks.sum()
        total.register_hook(lambda gradient: seen.append(_allowed()))
        return {"total": total, "masks": torch.full((1, 2, 2, 32, 32), 0.5)}
    return loss


class _Samples(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        frames, labels = torch.zeros(3, 3, 32, 32, dtype=torch.uint8), torch.zeros(3, 32, 32, dtype=torch.long)
        return {"frames": frames, "labels": labels, "num_objects": 1, "gap": 1, "index": index}


def test_sections_of_the_benchmark_compute_in_fp32(tf32_allowed, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("scripts.benchmarks.stages.run", lambda options: seen.append(_allowed()) or iter(()))
    benchmark.main(["--only", "stages", "--output", str(tmp_path / "lines.jsonl")])
    assert seen == [(False, False)]


def test_both_interfaces_of_pytorch_say_the_same_and_an_inherited_setting_is_overruled(monkeypatch, tf32_allowed):
    with float32_products("fp32"):
        assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is False
    monkeypatch.setattr("torch.backends.fp32_precision", "tf32")
    with float32_products("fp32"):
        assert _allowed() == (False, False)
