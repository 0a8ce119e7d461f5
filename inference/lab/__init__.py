"""The policy lab: what policies keep, replayed over stored keys without a network."""
