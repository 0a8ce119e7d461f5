"""Averaged weights: the average itself, and that a run validates, saves and resumes it."""

import shutil

import pytest
import torch
from torch.utils.data import Dataset

from model import STCN, ConfigError, NetworkConfig
from model.checkpoint import read_weights
from model.objective import ObjectiveConfig
from model.storage import read_file
from model.training.config import TrainingConfig
from model.training.trainer import Trainer
from model.training.validation import Validation

DECAY = 0.2           # reached by the third update: the first two are of 1/10 and 2/11
SMALL = NetworkConfig(key_backbone="resnet18", key_dim=8, value_dim=16, decoder_dims=(16, 8, 8), norm="batch")

pytestmark = pytest.mark.usefixtures("one_thread")


class Samples(Dataset):
    """Clips of noise."""

    def __getitem__(self, index):
        torch.manual_seed(index)
        return {
            "frames": torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8),
            "labels": torch.randint(0, 2, (3, 32, 32), dtype=torch.uint8), "num_objects": 1, "index": index, "gap": 1,
        }


def trainer(output, ema=DECAY, validation=None):
    torch.manual_seed(0)
    config = TrainingConfig(iterations=4, batch_size=2, lr=1e-2, ema=ema, workers=0, precision="fp32", log_every=9,
                            save_every=1, keep_checkpoints=9)
    return Trainer(STCN(SMALL), Samples(), config, ObjectiveConfig(), output, torch.device("cpu"), {}, validation)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with averaged weights, and the weights that were validated."""
    output, validated = tmp_path_factory.mktemp("run"), []

    def score(network):
        assert not network.training
        validated.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"J&F": [0.5, 0.4][len(validated) - 1]}

    trainer(output, validation=Validation(score, every=2)).run()
    return output, validated


def checkpoint(output, iteration):
    return read_file(output / f"checkpoints/iteration_{iteration:07d}.pth")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_what_is_saved_is_the_moving_average_of_weights_and_statistics(run):
    torch.manual_seed(0)
    average = STCN(SMALL).state_dict()
    for iteration, decay in enumerate((1 / 10, 2 / 11, DECAY, DECAY), 1):
        content = checkpoint(run[0], iteration)
        trained = content["training"]["network"]
        for name, tensor in trained.items():
            is_mean = tensor.is_floating_point()
            average[name] = decay * average[name] + (1 - decay) * tensor if is_mean else tensor
            torch.testing.assert_close(content["network"][name], average[name], rtol=1e-5, atol=1e-6, msg=name)
        assert not same(content["network"], trained)
        assert trained["key_encoder.trunk.bn1.num_batches_tracked"] == iteration
    assert same(read_weights(run[0] / "network.pth")[1], checkpoint(run[0], 4)["network"])


def test_the_average_is_what_is_validated_and_kept_as_the_best(run):
    output, validated = run
    assert [same(weights, checkpoint(output, at)["network"]) for weights, at in zip(validated, (2, 4), strict=True)] == [
        True, True
    ]
    assert same(read_weights(output / "best.pth")[1], validated[0])


def test_a_resumed_average_equals_an_uninterrupted_one_bit_for_bit(run, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(run[0] / "checkpoints/iteration_0000002.pth", tmp_path / "checkpoints")
    resumed = trainer(tmp_path)
    assert resumed.resume_newest()
    resumed.run()
    whole, parts = checkpoint(run[0], 4), checkpoint(tmp_path, 4)
    assert same(whole["network"], parts["network"])
    assert same(whole["training"]["network"], parts["training"]["network"])


def test_averaging_changes_nothing_in_training_and_without_it_nothing_more_is_saved(run, tmp_path):
    trainer(tmp_path, ema=0.0).run()
    plain, averaged = checkpoint(tmp_path, 4), checkpoint(run[0], 4)
    assert plain["training"].keys() == {"iteration", "optimizer", "best", "scaler", "config"}
    assert averaged["training"].keys() - plain["training"].keys() == {"network"}
    assert plain.keys() == averaged.keys()
    assert same(plain["network"], averaged["training"]["network"])
    assert same(read_weights(tmp_path / "network.pth")[1], plain["network"])
    begun = trainer(tmp_path / "begun")
    begun.resume(tmp_path / "checkpoints/iteration_0000003.pth")            # has none: it starts at the weights
    assert same(begun.result.state_dict(), checkpoint(tmp_path, 3)["network"])
    assert same(begun.network.state_dict(), checkpoint(tmp_path, 3)["network"])
    ended = trainer(tmp_path / "ended", ema=0.0)
    ended.resume(run[0] / "checkpoints/iteration_0000003.pth")
    assert same(ended.network.state_dict(), checkpoint(run[0], 3)["training"]["network"])


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_that_averages_nothing_is_refused(decay):
    with pytest.raises(ConfigError, match=r"training.ema: expected a decay of at least 0 and below 1"):
        TrainingConfig(ema=decay)
