"""The YAML files of configs/: every training stage can be read, and those of the thesis hold its values."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import train
from model.objective import ObjectiveConfig

CONFIGS = Path(__file__).parents[1] / "configs"
STAGES = sorted(path.stem for path in CONFIGS.glob("*.yaml") if "training" in yaml.safe_load(path.read_text()))
BOOTSTRAPPING = {"bootstrap_start": 20_000, "bootstrap_span": 50_000, "bootstrap_floor": 0.15}


def read(stage: str) -> train.RunConfig:
    return train.read_config(CONFIGS / f"{stage}.yaml", [])


def schedule(config: train.RunConfig) -> tuple[int, int, float, int, float]:
    """Iterations, global batch, learning rate, the iteration where it drops, and the share that is left then."""
    training = config.training
    assert (training.optimizer, training.betas, training.weight_decay) == ("adam", (0.9, 0.999), 1e-7)
    assert (training.schedule, training.warmup) == ("step", 0)
    return training.iterations, training.batch_size, training.lr, training.lr_drop_at, training.lr_drop


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_read(stage):
    config = read(stage)
    assert config.data.sources
    assert config.training.lr_drop_at < config.training.iterations or config.training.schedule != "step"
    several = any(row.paste[1] > 0 or row.layout not in ("pairs", "folders") for row in config.data.sources)
    assert config.network.mask_channels == (2 if several else 1)


def test_the_static_stage_is_the_thesis():
    config = read("static")
    assert schedule(config) == (300_000, 16, 1e-5, 150_000, 0.1)
    assert config.objective == ObjectiveConfig(**BOOTSTRAPPING)
    assert config.data.crop == 384
    assert {source.name: source.repeat for source in config.data.sources} == {
        "FSS-1000": 1, "DUTS-TR": 1, "DUTS-TE": 1, "ECSSD": 1, "BIG": 5, "HRSOD": 5,
    }


def test_the_video_stage_is_the_thesis():
    config = read("video")
    assert schedule(config) == (150_000, 8, 1e-5, 125_000, 0.1)
    assert config.objective == ObjectiveConfig(**BOOTSTRAPPING)
    assert (config.data.crop, config.data.max_objects) == (384, 2)
    assert config.data.gaps == (5, 10, 15, 20, 25, 5)
    assert config.data.gap_switches == (0.1, 0.2, 0.3, 0.4, 0.9)
    assert {source.name: source.repeat for source in config.data.sources} == {"YouTube-VOS": 1, "DAVIS 2017": 5}


@pytest.mark.parametrize("regularizer", ["dropout", "reallocation"])
def test_the_stages_of_regularizers_change_nothing_else(regularizer):
    video = read("video")
    expected = replace(video, objective=replace(video.objective, regularizer=regularizer, dropout_keep=0.5))
    assert read(f"video_{regularizer}") == expected


def test_the_stage_of_rendered_videos():
    config, video = read("bl30k"), read("video")
    assert schedule(config) == (500_000, 8, 1e-5, 400_000, 0.1)
    assert (config.network, config.objective) == (video.network, video.objective)
    assert (config.data.crop, config.data.max_objects, config.data.gaps) == (384, 2, video.data.gaps)
    assert (config.data.video_area, config.data.skip_small) == ((0.25, 1.0), True)      # STCN's, for this set alone
    assert (video.data.video_area, video.data.skip_small) == ((0.36, 1.0), False)
    assert [(source.layout, source.stride) for source in config.data.sources] == [("youtube", 1)]
