"""Synthetic faces with known truth: drawn from parameters, so they show no real person."""
