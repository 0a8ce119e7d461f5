"""The network of an annotation: segmenters for any memory bank, and what run.json says about them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from inference.device import device_of
from inference.evaluation import make_segmenter, run_settings
from inference.memory import MemoryOptions
from inference.runtime import RuntimeOptions, load_for
from inference.views import ViewOptions, ViewSegmenter
from model.network import STCN


@dataclass(frozen=True)
class Network:
    """A weights file and how it runs. `runtime` is resolved."""

    weights: Path
    runtime: RuntimeOptions
    views: ViewOptions

    @cached_property
    def loaded(self) -> STCN:
        """Raises CheckpointError for unusable weights."""
        return load_for(self.runtime, self.weights)

    def segmenter(self, memory: MemoryOptions) -> ViewSegmenter:
        """Raises MemoryConfigError if the capacity is too small for the bank."""
        return make_segmenter(self.loaded, self.runtime, self.views, memory)

    def settings(self, memory: MemoryOptions) -> dict[str, Any]:
        """As in the run.json of scripts/segment_video.py."""
        return run_settings("segment_video", self.weights, [self.runtime, self.views, memory])

    def about(self) -> dict[str, Any]:
        return {"weights": str(self.weights), "device": str(device_of(self.runtime.device)), "processes": 1}
