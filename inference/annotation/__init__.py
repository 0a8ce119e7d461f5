"""Annotating a video interactively: given masks, propagation, corrections, memory, exports. No server and no page."""
