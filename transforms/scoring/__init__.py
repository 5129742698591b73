"""Scoring: images in, embeddings out."""
