"""Everything that turns a video into masks and numbers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.memory import build_memory
    from inference.segmenter import VideoSegmenter

__all__ = ["VideoSegmenter", "build_memory"]


def __getattr__(name: str) -> object:
    """Import on first use: scoring masks needs no PyTorch, which takes seconds to load."""
    if name == "VideoSegmenter":
        from inference.segmenter import VideoSegmenter
        return VideoSegmenter
    if name == "build_memory":
        from inference.memory import build_memory
        return build_memory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
