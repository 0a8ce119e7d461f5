"""Convolutions by whichever algorithm is the fastest on this machine, found by measuring."""
