"""Training: the loop, its options, its log, its signals."""
