"""The training objective on clips of three frames or more (docs/METHOD.md)."""

import functools
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.aggregation import aggregate
from model.encoders import FrameFeatures
from model.errors import ConfigError
from model.geometry import STRIDE
from model.losses import dice_loss, hard_fraction, hardest_mean, pixel_cross_entropy, present_objects
from model.matching import read, softmax_affinity
from model.network import STCN
from model.precision import at_least_float32
from model.regularizers import Regularizer, drop_affinity, reallocate, support_entries


@dataclass(frozen=True)
class ObjectiveConfig:
    """What training minimizes; the defaults are the thesis's."""

    bootstrap_start: int = 20_000             # iterations that use all pixels
    bootstrap_span: int = 50_000              # iterations over which the share of pixels falls
    bootstrap_floor: float = 0.15             # share of the hardest pixels at the end
    dice_weight: float = 0.0                  # > 0 adds soft Dice, which helps training from scratch
    regularizer: Regularizer = "none"         # of the memory read
    dropout_keep: float = 0.5                 # "dropout": probability of keeping an element of the affinity
    reallocation_renormalize: bool = False    # "reallocation": scale rows to a sum of one again
    memory_frames: int | None = None          # at most so many: the first and the newest ones; None: all earlier frames

    def __post_init__(self) -> None:
        if self.bootstrap_span < 1 or not 0 < self.bootstrap_floor <= 1:
            raise ConfigError(
                "objective: expected bootstrap_span of at least 1 and bootstrap_floor in (0, 1], found "
                f"{self.bootstrap_span} and {self.bootstrap_floor}"
            )
        if self.memory_frames is not None and self.memory_frames < 1:
            raise ConfigError(f"objective.memory_frames: expected at least 1, found {self.memory_frames}")


@dataclass
class _Memory:
    """The memory of a clip: one item per memorized frame."""

    keys: list[Tensor] = field(default_factory=list)      # [B, C_k, hw] each
    values: list[Tensor] = field(default_factory=list)    # [B, objects, C_v, hw] each
    masks: list[Tensor] = field(default_factory=list)     # [B, objects, H, W] each

    def keep(self, frames: int | None) -> None:
        """Keep the first frame and the newest ones, `frames` in all; None: all."""
        if frames is not None:
            for items in (self.keys, self.values, self.masks):
                del items[1 : max(1, len(items) - frames + 1)]


def clip_loss(
    network: STCN, frames: Tensor, labels: Tensor, num_objects: Tensor, iteration: int,
    config: ObjectiveConfig | None = None, logged: bool = True,
) -> dict[str, Tensor | float]:
    """Loss of clips of N frames, at least two; the thesis's have three.

    The mask of frame 0 is given. Each other frame is segmented from the memory of those before it (at most
    `config.memory_frames`), whose masks are the predicted ones: soft and not detached.

    Args:
        frames: [B, N, 3, H, W] normalized; labels: [B, N, H, W] int64, 0..objects of the sample;
        num_objects: [B], at least 1 each, on the CPU (the host would wait for a device);
        iteration: the position in the bootstrapping schedule; logged: False leaves out "cross_entropy".
    Returns the losses "frame_1" to "frame_{N - 1}", "total" = twice their mean, which is their sum if N is 3,
    "hard_fraction", "cross_entropy" (over all pixels, detached) and "masks" [B, N - 1, objects, H, W] probabilities.
    """
    config = config or ObjectiveConfig()
    objects = max(num_objects.tolist())
    present = present_objects(num_objects, objects, labels.device)
    numbers = torch.arange(1, objects + 1, device=labels.device)
    targets = labels[:, :, None] == numbers[:, None, None]                                  # [B, N, objects, H, W]
    features = _split_frames(network.encode_key(frames.flatten(0, 1)), frames.shape[0])
    fraction = hard_fraction(iteration, config.bootstrap_start, config.bootstrap_span, config.bootstrap_floor)

    memory, losses, pixels, masks = _Memory(), [], [], []
    mask = targets[:, 0].to(frames.dtype)
    for index in range(1, frames.shape[1]):
        _memorize(network, memory, frames[:, index - 1], features[index - 1], mask)
        memory.keep(config.memory_frames)
        logits = _segment(network, memory, features[index], present, config)
        mask = logits.softmax(1)[:, 1:]
        pixels.append(pixel_cross_entropy(logits, labels[:, index], present))
        losses.append(_frame_loss(pixels[-1], mask, targets[:, index], present, fraction, config))
        masks.append(mask)
    plain = {"cross_entropy": _of_two_frames([each.detach().mean() for each in pixels])} if logged else {}
    each = {f"frame_{index}": loss for index, loss in enumerate(losses, 1)}
    return {
        "total": _of_two_frames(losses), **each, "hard_fraction": fraction, **plain, "masks": torch.stack(masks, 1)
    }


def _of_two_frames(losses: list[Tensor]) -> Tensor:
    """Twice the mean over predicted frames, so that losses of longer clips compare: the sum if there are two."""
    total = functools.reduce(torch.add, losses)
    return total if len(losses) == 2 else total * (2 / len(losses))


def _split_frames(features: FrameFeatures, batch: int) -> list[FrameFeatures]:
    """Features of [B*N] frames -> one FrameFeatures of [B] for each frame of the clip."""
    split = {name: tensor.unflatten(0, (batch, -1)).unbind(1) for name, tensor in vars(features).items()}
    return [FrameFeatures(**dict(zip(split, tensors, strict=True))) for tensors in zip(*split.values(), strict=True)]


def _memorize(network: STCN, memory: _Memory, frame: Tensor, features: FrameFeatures, mask: Tensor) -> None:
    """Add a frame with its masks [B, objects, H, W] to the memory."""
    memory.keys.append(features.key.flatten(2))
    memory.values.append(network.encode_value(frame, features.f16, mask).flatten(3))
    memory.masks.append(mask)


def _segment(
    network: STCN, memory: _Memory, query: FrameFeatures, present: Tensor, config: ObjectiveConfig
) -> Tensor:
    """Read the memory for `query` and decode -> log-odds [B, 1 + objects, H, W]."""
    keys, values = torch.cat(memory.keys, 2), torch.cat(memory.values, 3)
    with torch.autocast(keys.device.type, enabled=False):       # squared distances lose too much in half precision
        affinity = softmax_affinity(at_least_float32(keys), at_least_float32(query.key.flatten(2)))
    if config.regularizer == "dropout":
        affinity = drop_affinity(affinity, config.dropout_keep)
    elif config.regularizer == "reallocation":
        support = torch.cat([support_entries(mask, STRIDE) for mask in memory.masks], 2)
        affinity = reallocate(affinity, support, config.reallocation_renormalize)
    readout = read(values, affinity.to(values.dtype)).unflatten(3, query.key.shape[2:])
    probabilities = at_least_float32(network.segment(readout, query)).sigmoid()
    return aggregate(probabilities * present[:, :, None, None])


def _frame_loss(
    pixels: Tensor, mask: Tensor, targets: Tensor, present: Tensor, fraction: float, config: ObjectiveConfig
) -> Tensor:
    """The loss that counts: cross-entropy of the hardest pixels, plus soft Dice if asked for."""
    loss = hardest_mean(pixels, fraction)
    return loss + config.dice_weight * dice_loss(mask, targets, present) if config.dice_weight > 0 else loss
