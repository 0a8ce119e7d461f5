"""Averaged weights: the average itself, and that a run validates, saves and resumes it."""

import shutil

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from model import STCN, ConfigError, NetworkConfig
from model.checkpoint import read_weights
from model.objective import ObjectiveConfig
from model.storage import read_file
from model.training.average import AveragedNetwork
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


def trainer(output, ema=DECAY, validation=None, iterations=3):
    torch.manual_seed(0)
    config = TrainingConfig(iterations=iterations, batch_size=2, lr=1e-2, ema=ema, workers=0, precision="fp32",
                            log_every=9, save_every=2)
    return Trainer(STCN(SMALL), Samples(), config, ObjectiveConfig(), output, torch.device("cpu"), {}, validation)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with averaged weights, and the weights that were validated."""
    output, validated = tmp_path_factory.mktemp("run"), []

    def score(network):
        assert not network.training
        validated.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"J&F": [0.4, 0.6, 0.5][len(validated) - 1]}

    trainer(output, validation=Validation(score, every=1)).run()
    return output, validated


def test_weights_and_statistics_are_averaged_and_counters_copied():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = AveragedNetwork(network, DECAY)
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for iteration, decay in enumerate((1 / 10, 2 / 11, DECAY, DECAY)):
        for tensor in network.state_dict().values():
            tensor += 1 if tensor.dtype == torch.int64 else torch.randn_like(tensor)
        average.update(iteration)
        for name, tensor in network.state_dict().items():
            mixed = decay * expected[name] + (1 - decay) * tensor
            expected[name] = mixed if tensor.is_floating_point() else tensor.clone()
            torch.testing.assert_close(average.network.state_dict()[name], expected[name], msg=name)
    assert average.network[1].num_batches_tracked == 4
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_a_run_saves_the_average_of_what_it_trains(run):
    before, after = checkpoint(run[0], 2), checkpoint(run[0], 3)
    trained = after["training"]["network"]
    for name, tensor in trained.items():
        if tensor.is_floating_point():
            expected = DECAY * before["network"][name] + (1 - DECAY) * tensor
            torch.testing.assert_close(after["network"][name], expected, rtol=1e-5, atol=1e-6, msg=name)
    assert not same(after["network"], trained)
    assert same(read_weights(run[0] / "network.pth")[1], after["network"])


def test_the_average_is_what_is_validated_and_kept_as_the_best(run):
    output, validated = run
    assert same(validated[1], checkpoint(output, 2)["network"])
    assert same(validated[2], checkpoint(output, 3)["network"])
    assert same(read_weights(output / "best.pth")[1], validated[1])


def test_a_resumed_average_equals_an_uninterrupted_one_bit_for_bit(run, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(run[0] / "checkpoints/iteration_0000002.pth", tmp_path / "checkpoints")
    resumed = trainer(tmp_path)
    assert resumed.resume_newest()
    resumed.run()
    whole, parts = checkpoint(run[0], 3), checkpoint(tmp_path, 3)
    assert same(whole["network"], parts["network"])
    assert same(whole["training"]["network"], parts["training"]["network"])


def test_averaging_changes_nothing_in_training_and_without_it_nothing_more_is_saved(run, tmp_path):
    trainer(tmp_path, ema=0.0, iterations=2).run()
    plain, averaged = checkpoint(tmp_path, 2), checkpoint(run[0], 2)
    assert plain["training"].keys() == {"iteration", "optimizer", "best", "scaler", "config"}
    assert averaged["training"].keys() - plain["training"].keys() == {"network"}
    assert plain.keys() == averaged.keys()
    assert same(plain["network"], averaged["training"]["network"])
    assert same(read_weights(tmp_path / "network.pth")[1], plain["network"])


def test_a_checkpoint_with_an_average_and_one_without_load_into_either_run(run, tmp_path):
    saved = run[0] / "checkpoints/iteration_0000002.pth"
    ended = trainer(tmp_path / "ended", ema=0.0)
    ended.resume(saved)
    assert same(ended.result.state_dict(), checkpoint(run[0], 2)["training"]["network"])
    ended.save()
    begun = trainer(tmp_path / "begun")
    begun.resume(ended.checkpoints.newest)                       # has no average: it starts at the weights
    assert begun.result is not begun.network
    assert same(begun.result.state_dict(), ended.network.state_dict())
    assert same(begun.network.state_dict(), ended.network.state_dict())


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_that_averages_nothing_is_refused(decay):
    with pytest.raises(ConfigError, match=r"training.ema: expected a decay of at least 0 and below 1"):
        TrainingConfig(ema=decay)


def checkpoint(output, iteration):
    return read_file(output / f"checkpoints/iteration_{iteration:07d}.pth")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
