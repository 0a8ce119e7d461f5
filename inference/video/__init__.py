"""One video of one's own: what segment_video.py writes, shows and records."""
