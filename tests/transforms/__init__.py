"""Tests of what happens to the data."""
