"""Evaluation protocols of public benchmarks, in numpy alone."""
