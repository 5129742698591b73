"""Nearest neighbors over embeddings, for match and cluster."""
