"""A run: from sequences to a folder of masks and its record."""
