"""Window decoding that can be watched, or guided by the windows of another network."""

import torch

from inference.decoding import WindowDecoding
from model.windows import Window


class GuidedDecoding(WindowDecoding):
    """Remembers the windows of each frame; uses those of `guide` if it is set, but pays for finding its own."""

    found: list[list[Window]] | None = None
    guide: "GuidedDecoding | None" = None

    def find_windows(self, evidence: torch.Tensor) -> list[list[Window]] | None:
        own = super().find_windows(evidence)
        self.found = self.guide.found if self.guide else own
        return self.found
