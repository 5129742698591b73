"""Synthetic faces with known truth: drawn from parameters, so they show nobody."""
