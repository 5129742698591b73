"""Tests of `model/networks/`."""
