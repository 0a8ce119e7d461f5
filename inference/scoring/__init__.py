"""J and F of masks, and the scores of DAVIS, YouTube-VOS and benchmarks of long videos."""
