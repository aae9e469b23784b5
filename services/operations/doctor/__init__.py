"""The doctor: whether the world reaches this installation, and whether it reaches what it needs."""
