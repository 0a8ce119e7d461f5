"""Scoring masks while they are made: the numbers of `davis.score_sequence` without files of masks."""

from collections import deque
from concurrent.futures import Executor, Future

import numpy as np

from inference.scoring.metrics import score_frame

_WAITING = 8      # frames that may wait to be scored before `add` blocks


class LiveScores:
    """J and F of one video's objects, in the order of the frames added.

    Args:
        objects: the numbers that count. pool: threads that do the work (OpenCV and NumPy release the GIL).
    """

    def __init__(self, objects: list[int], pool: Executor) -> None:
        self._pool = pool
        self._scores: dict[int, tuple[list[float], list[float]]] = {number: ([], []) for number in objects}
        self._waiting: deque[Future[list[tuple[float, float]]]] = deque()

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Score a frame's label maps, [H, W] uint8 each; neither may change afterwards."""
        self._waiting.append(self._pool.submit(score_frame, truth, prediction, list(self._scores)))
        if len(self._waiting) > _WAITING:
            self._collect()

    def finish(self) -> dict[int, tuple[list[float], list[float]]]:
        """Object number -> J and F of every frame added."""
        while self._waiting:
            self._collect()
        return self._scores

    def _collect(self) -> None:
        for (js, fs), (j, f) in zip(self._scores.values(), self._waiting.popleft().result(), strict=True):
            js.append(j)
            fs.append(f)
