"""Sections of scripts/benchmark.py, one file each: `run(options) -> Iterator[Measurement]`."""
