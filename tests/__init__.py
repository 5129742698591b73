"""Tests of the three packages, the jobs and the whole way."""
