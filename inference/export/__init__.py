"""What an export says about itself: how closely it agrees with PyTorch, and what its tensors are."""
