"""Tests of the three packages, and of all commands in order."""
