"""Layouts of input: each tells which images there are, and gets their bytes."""
