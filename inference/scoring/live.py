"""Scoring masks while they are made: the numbers of `davis.score_sequence` and `youtube.score_video` without files."""

from collections import deque
from concurrent.futures import Executor, Future

import numpy as np

from dataset.masks import VOID, labels_in
from inference.scoring.metrics import score_frame

_WAITING = 8      # frames that may wait to be scored before `add` blocks


class LiveScores:
    """J and F of one video's objects, in the order of the frames added.

    Args:
        objects: the numbers that count. pool: threads that do the work (OpenCV and NumPy release the GIL).
        late: further objects count from the frame after the one in which the ground truth first shows them.
    """

    def __init__(self, objects: list[int], pool: Executor, late: bool = False) -> None:
        self._pool, self._late = pool, late
        self._scores: dict[int, tuple[list[float], list[float]]] = {number: ([], []) for number in objects}
        self._waiting: deque[tuple[list[int], Future[list[tuple[float, float]]]]] = deque()

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Score a frame's label maps, [H, W] uint8 each; neither may change afterwards."""
        objects = list(self._scores)
        self._waiting.append((objects, self._pool.submit(score_frame, truth, prediction, objects)))
        for number in set(labels_in(truth)) - {0, VOID} if self._late else ():
            self._scores.setdefault(number, ([], []))
        if len(self._waiting) > _WAITING:
            self._collect()

    def finish(self) -> dict[int, tuple[list[float], list[float]]]:
        """Object number -> J and F of every frame added."""
        while self._waiting:
            self._collect()
        return self._scores

    def _collect(self) -> None:
        objects, scored = self._waiting.popleft()
        for number, (j, f) in zip(objects, scored.result(), strict=True):
            js, fs = self._scores[number]
            js.append(j)
            fs.append(f)
