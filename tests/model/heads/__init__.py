"""Tests of `model/heads/`."""
