"""The objective on clips of any length, with all earlier frames in memory or the first and the newest ones."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from model import STCN, ConfigError, NetworkConfig
from model.objective import ObjectiveConfig, clip_loss
from model.training.log import TrainingLog
from model.training.values import curves

SMALL = NetworkConfig(key_backbone="resnet18", key_dim=8, value_dim=16, decoder_dims=(16, 8, 8))

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network() -> STCN:
    torch.manual_seed(0)
    network = STCN(SMALL).double().train()
    nn.init.normal_(network.decoder.predict.weight, std=3)      # an untrained network has masks of 0.5 everywhere
    return network


def clips(frames, objects=2):
    torch.manual_seed(frames)
    labels = torch.randint(0, objects + 1, (2, frames, 32, 48))
    return torch.randn(2, frames, 3, 32, 48, dtype=torch.float64), labels, torch.full((2,), objects)


def reference(network, frames, labels, memories):
    """Losses of the predicted frames of clips of two objects; `memories`: frame -> the frames in its memory."""
    features = [network.encode_key(frame) for frame in frames.unbind(1)]
    values, mask, losses = {}, torch.stack([labels[:, 0] == 1, labels[:, 0] == 2], 1).double(), []
    for index, memory in memories.items():
        values[index - 1] = network.encode_value(frames[:, index - 1], features[index - 1].f16, mask).flatten(3)
        keys = torch.cat([features[each].key.flatten(2) for each in memory], 2)
        distances = torch.cdist(features[index].key.flatten(2).mT, keys.mT).square()            # [B, hw, N]
        affinity = (-distances / SMALL.key_dim**0.5).softmax(-1)
        readout = torch.einsum("bmn,bocn->bocm", affinity, torch.cat([values[each] for each in memory], 3))
        own = network.segment(readout.unflatten(3, (2, 3)), features[index]).sigmoid()
        everything = torch.cat([(1 - own).prod(1, keepdim=True), own], 1).clamp(1e-7, 1 - 1e-7)
        odds = everything / (1 - everything)
        mask = (odds / odds.sum(1, keepdim=True))[:, 1:]
        losses.append(cross_entropy(odds.log(), labels[:, index]))
    return losses


@pytest.mark.parametrize(("memory_frames", "memories"), [
    (None, {1: [0], 2: [0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3]}),
    (5, {1: [0], 2: [0, 1], 3: [0, 1, 2], 4: [0, 1, 2, 3]}),
    (3, {1: [0], 2: [0, 1], 3: [0, 1, 2], 4: [0, 2, 3]}),
    (2, {1: [0], 2: [0, 1], 3: [0, 2], 4: [0, 3]}),
    (1, {1: [0], 2: [0], 3: [0], 4: [0]}),
])
@torch.no_grad()
def test_each_frame_is_segmented_from_the_first_and_the_newest_frames(network, memory_frames, memories):
    frames, labels, objects = clips(5)
    outcome = clip_loss(network, frames, labels, objects, 0, ObjectiveConfig(memory_frames=memory_frames))
    expected = reference(network, frames, labels, memories)
    for index, loss in enumerate(expected, 1):
        torch.testing.assert_close(outcome[f"frame_{index}"], loss, rtol=1e-9, atol=0)
    torch.testing.assert_close(outcome["total"], 2 * torch.stack(expected).mean(), rtol=1e-9, atol=0)
    torch.testing.assert_close(outcome["cross_entropy"], outcome["total"], rtol=1e-9, atol=0)


def test_gradients_flow_through_the_predicted_masks_in_the_memory(network):
    frames, labels, objects = clips(4)
    total = clip_loss(network, frames, labels, objects, 0, ObjectiveConfig(memory_frames=2))["total"]
    expected = 2 / 3 * sum(reference(network, frames, labels, {1: [0], 2: [0, 1], 3: [0, 2]}))
    parameters = list(network.parameters())
    ours, theirs = (torch.autograd.grad(loss, parameters) for loss in (total, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-10)


def test_two_frames_in_memory_are_all_that_clips_of_three_frames_have(network):
    frames, labels, objects = clips(3)
    every, two = (
        clip_loss(network, frames, labels, objects, 30_000, ObjectiveConfig(memory_frames=limit, dice_weight=1))
        for limit in (None, 2)
    )
    assert torch.equal(every["total"], every["frame_1"] + every["frame_2"])
    assert every.keys() == two.keys()
    assert all(torch.equal(torch.as_tensor(every[name]), torch.as_tensor(two[name])) for name in every)


def test_a_memory_of_no_frame_is_refused():
    with pytest.raises(ConfigError, match=r"objective.memory_frames: expected at least 1, found 0"):
        ObjectiveConfig(memory_frames=0)


def test_every_predicted_frame_has_its_curves_and_its_pictures(network, tmp_path):
    frames, labels, objects = clips(5)
    outcome = clip_loss(network, frames, labels, objects, 0)
    batch = {"num_objects": objects, "gap": torch.tensor([1, 2])}
    values = curves(outcome, labels, batch)
    assert {f"{name}_{index}" for name in ("frame", "iou_frame") for index in (1, 2, 3, 4)} <= values.keys()
    with TrainingLog(tmp_path, 0, 9, "test", active=True) as log:
        log.scalars({name: value.item() for name, value in values.items()}, 1, torch.device("cpu"))
        log.pictures(frames[0], labels[0], outcome["masks"][0].detach(), 1)
        assert f"IoU={values['iou_frame_4']:.2f}" in str(log.bar)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    (picture,) = events.Images(events.Tags()["images"][0])
    assert (picture.width, picture.height) == (5 * 48, 3 * 32)
