"""The training loop, its schedule and its history."""
