"""The server of scripts/annotate.py, and its page."""
