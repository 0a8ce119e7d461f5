"""A session as a segmenter: for loops over frames that know no session."""

import numpy as np
import torch
from torch import Tensor

from inference.session.session import Session
from inference.views import ViewSegmenter


class SessionSegmenter(ViewSegmenter):
    """`step`, `labels` and `objects` of ViewSegmenter for the stale frames of a session, in the order of the video.

    What it is shown is ignored: the session has the frames and the given masks.
    """

    def __init__(self, session: Session) -> None:
        forward = session.forward.segmenter
        super().__init__(forward.segmenters, forward.views)
        self.session, self._next = session, iter(session.stale)
        self._objects: list[int] = []
        self._labels = np.zeros(session.size, np.uint8)

    @property
    def objects(self) -> list[int]:
        return self._objects

    @property
    def bytes_held(self) -> int:
        """Bytes of the entries of the banks of both passes."""
        return sum(each.segmenter.bytes_held for each in self.session.passes)

    def step(self, frame: np.ndarray, annotation: np.ndarray | None = None) -> Tensor:
        """[1 + objects, H, W] of the next frame."""
        found = self.session.segment(next(self._next))
        if found is None:
            self._objects, self._labels = [], np.zeros(self.session.size, np.uint8)
            return torch.ones(1, *self.session.size)
        self._objects, self._labels = found.objects, found.labels
        return found.probabilities

    def labels(self, probabilities: Tensor) -> np.ndarray:
        """Of the last `step`."""
        return self._labels
