"""Everything that turns a video into masks and numbers."""

from inference.memory import build_memory
from inference.segmenter import VideoSegmenter

__all__ = ["VideoSegmenter", "build_memory"]
