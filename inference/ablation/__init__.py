"""Many settings of the memory bank over the same frames, and the tables and figures that compare them."""
