"""A user's own video: what segment_video.py writes, shows and records."""
