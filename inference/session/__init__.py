"""A video with given masks that can be corrected: masks in one or both directions, redone only where they must be."""

from inference.session.session import Session

__all__ = ["Session"]
