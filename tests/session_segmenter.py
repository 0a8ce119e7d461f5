"""A segmenter for tests of sessions: its masks depend on everything that it saw, and it needs no network."""

import zlib

import numpy as np
import torch

SIZE = (3, 4)


class ChainedSegmenter:
    """Its state is a checksum of all frames and annotations so far; its probabilities are drawn from that checksum."""

    keep_given = False

    def __init__(self):
        self.reset()

    def reset(self):
        self.chain, self.frame_index, self.objects, self.frozen = 0, 0, [], False

    def step(self, frame, annotation=None):
        seen = b"" if annotation is None else annotation.tobytes()
        self.chain = zlib.crc32(frame.tobytes() + seen + f"{self.frozen} {self.frame_index}".encode(), self.chain)
        self.frame_index += 1
        numbers = [] if annotation is None else [int(number) for number in np.unique(annotation) if number]
        self.objects = sorted({*self.objects, *numbers})
        drawn = np.random.default_rng(self.chain).random((1 + len(self.objects), *SIZE), np.float32) + 0.01
        for number in numbers:
            drawn[1 + self.objects.index(number)] = 0
        for number in numbers:
            drawn[:, annotation == number] = 0
            drawn[1 + self.objects.index(number), annotation == number] = 1
        return torch.from_numpy(drawn / drawn.sum(0))

    def skip(self):
        self.frame_index += 1

    def learn(self, frame, annotation, at):
        self.frame_index = at
        self.step(frame, annotation)
        self.frame_index = 0

    def check_room(self, kept):
        """There is room for everything."""

    def freeze(self, frozen=True):
        self.frozen = frozen

    def labels(self, probabilities):
        return np.array([0, *self.objects], np.uint8)[probabilities.argmax(0).numpy()]

    def state(self):
        return {"all": dict(vars(self))}

    def restore(self, state):
        vars(self).update(state["all"])


def make_frames(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), np.uint8))


def make_mask(seed, number):
    """A mask of one or two objects, `number` among them."""
    rng = np.random.default_rng([seed, number])
    mask = rng.choice([0, 0, number, 1 + number % 3], SIZE).astype(np.uint8)
    mask[rng.integers(SIZE[0]), rng.integers(SIZE[1])] = number
    return mask


def result_of(session):
    """Run a session to its end -> all its masks."""
    for _ in session.run():
        pass
    assert session.stale == []
    return [session.labels(index) for index in range(len(session.frames))]
